// What is asked for: one file again and again, or a mix of files as browsers ask for them.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../lib/children.mjs';
import { grouped, percent, sizeName } from '../lib/format.mjs';
import { writeMix } from './mix.mjs';

/** `argsOf(subject)`: how the load client is told; `verify(subject, load)` throws when an answer is wrong. */
export function sizeTarget(root, size) {
  const path = `/${size}.bin`;
  return {
    name: sizeName(size),
    size,
    argsOf: () => ['--path', path],
    verify: (subject, load) => load.verify(subject.server.port, path, join(root, `${size}.bin`)),
  };
}

/** Files of every size with bytes that do not repeat, so a wrong offset shows. */
export async function writeSizes(root, sizes) {
  await mkdir(root, { recursive: true });
  for (const size of new Set(sizes)) {
    const words = new Uint32Array(Math.ceil(size / 4));
    let state = size;
    for (let i = 0; i < words.length; i++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[i] = state;
    }
    await writeFile(join(root, `${size}.bin`), new Uint8Array(words.buffer, 0, size));
  }
}

/** Writes the mix below `root`, and says what it is. */
export async function mixTarget(root, scratch, { count, close }) {
  const file = join(scratch, 'mix');
  const { bytes, meanRequestBytes, conditionalShare } = await writeMix(root, file, { count, close });
  await run('sync', ['-f', root]); // else the kernel writes it while others are measured
  console.log(`Mix: ${grouped(count)} files, ${grouped(bytes / 2 ** 20)} MiB; by popularity ${grouped(meanRequestBytes)} bytes ` +
    `a body, ${percent(conditionalShare)} of the requests ask If-None-Match\n`);
  const tagsOf = ({ name }) => join(scratch, `${name}.tags`);
  return {
    name: `mix of ${grouped(count)} files`,
    argsOf: (subject) => ['--mix', file, '--tags', tagsOf(subject)],
    verify: (subject, load) => load.learn(subject.server.port, file, tagsOf(subject), root),
  };
}
