// Compiles a bench's C programs into a temporary directory.
import { join } from 'node:path';
import { run } from './children.mjs';

export class MissingError extends Error {}

/** `source`: one file, or several of one program. `libraries`: `{ name, header, package }`, the last one of Debian's. */
export async function compile(source, name, directory, libraries = []) {
  const program = join(directory, name);
  let result;
  try {
    const linked = libraries.map((library) => `-l${library.name}`);
    result = await run('cc', ['-O2', '-std=gnu11', '-o', program, ...[source].flat(), ...linked]);
  } catch {
    throw new MissingError('no C compiler: the native parts of this bench need `cc` (Debian: apt install gcc libc6-dev)');
  }
  const missing = libraries.find((library) => isMissing(library, result.stderr));
  if (missing) throw new MissingError(`lib${missing.name} is not installed (Debian: apt install ${missing.package})`);
  if (result.code !== 0) throw new Error(`cc cannot compile ${name}:\n${result.stderr.trim()}`);
  return program;
}

/** What compilers say of a header, and linkers of a library. */
const isMissing = ({ name, header }, said) =>
  said.includes(`${header}: No such file`) || said.includes(`'${header}' file not found`) || said.includes(`cannot find -l${name}`);
