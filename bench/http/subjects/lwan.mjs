// lwan with one thread and its module for files, which keeps small ones in memory, compressed ones beside them.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exists, freePort, startServer } from '../../lib/children.mjs';

export const name = 'lwan';
export const about = 'one thread, its module for files';

export async function available() {
  return (await exists('lwan', ['--help'])) || 'lwan is not on the PATH (its sources: github.com/lpereira/lwan)';
}

export async function start({ root, host, place, scratch }) {
  const directory = join(scratch, name);
  const port = await freePort();
  await mkdir(directory);
  const conf = join(directory, 'lwan.conf');
  await writeFile(conf, `threads = 1
keep_alive_timeout = 300
listener ${host}:${port}
site {
  serve_files / {
    path = ${root}
  }
}
`);
  return startServer({ command: 'lwan', args: ['-c', conf], place, host, port });
}
