// lighttpd with its defaults, which send small files by writev and large ones by sendfile.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exists, freePort, startServer } from '../../lib/children.mjs';

export const name = 'lighttpd';
export const about = 'one process, its defaults, no access log';

export async function available() {
  return (await exists('lighttpd', ['-v'])) || 'lighttpd is not installed (Debian: apt install lighttpd)';
}

export async function start({ root, host, place, scratch }) {
  const directory = join(scratch, name);
  const port = await freePort();
  await mkdir(directory);
  const conf = join(directory, 'lighttpd.conf');
  await writeFile(conf, `server.document-root = "${root}"
server.bind = "${host}"
server.port = ${port}
server.errorlog = "${join(directory, 'error.log')}"
server.max-keep-alive-requests = 1000000000
server.max-keep-alive-idle = 300
server.max-connections = 16384
server.max-fds = 20000
mimetype.assign = ( "" => "application/octet-stream" )
`);
  return startServer({ command: 'lighttpd', args: ['-D', '-f', conf], place, host, port });
}
