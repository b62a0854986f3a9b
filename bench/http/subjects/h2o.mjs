// h2o with one thread and its defaults.
import { mkdir, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { exists, freePort, startServer } from '../../lib/children.mjs';

export const name = 'h2o';
export const about = 'one thread, its defaults, no access log';
export const speaksTls = true;

export async function available() {
  return (await exists('h2o', ['--version'])) || 'h2o is not installed (Debian: apt install h2o)';
}

export async function start({ root, host, place, scratch, tls }) {
  const directory = join(scratch, name);
  const port = await freePort();
  const ssl = tls ? `, ssl: { certificate-file: ${tls.certFile}, key-file: ${tls.keyFile} }` : '';
  await mkdir(directory);
  const conf = join(directory, 'h2o.conf');
  await writeFile(conf, `num-threads: 1
user: ${userInfo().username}
max-connections: 16384
limit-request-body: 0
http1-request-timeout: 300
error-log: ${join(directory, 'error.log')}
hosts:
  default:
    listen: { host: ${host}, port: ${port}${ssl} }
    paths:
      /:
        file.dir: ${root}
`);
  return startServer({ command: 'h2o', args: ['-m', 'worker', '-c', conf], place, host, port });
}
