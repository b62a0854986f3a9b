// Compiles a bench's C programs into a temporary directory.
import { join } from 'node:path';
import { run } from './children.mjs';

export class MissingError extends Error {}

/** `source`: one file, or several of one program. */
export async function compile(source, name, directory) {
  const program = join(directory, name);
  let result;
  try {
    result = await run('cc', ['-O2', '-std=gnu11', '-o', program, ...[source].flat()]);
  } catch {
    throw new MissingError('no C compiler: the native parts of this bench need `cc` (Debian: apt install gcc libc6-dev)');
  }
  if (result.code !== 0) throw new Error(`cc cannot compile ${name}:\n${result.stderr.trim()}`);
  return program;
}
