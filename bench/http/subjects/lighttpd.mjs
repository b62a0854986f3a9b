// lighttpd with its defaults, which send small files by writev and large ones by sendfile.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exists, freePort, run, startServer } from '../../lib/children.mjs';
import { MissingError } from '../../lib/compile.mjs';

export const name = 'lighttpd';
export const about = 'one process, its defaults, no access log';
export const speaksTls = true;

export async function available() {
  return (await exists('lighttpd', ['-v'])) || 'lighttpd is not installed (Debian: apt install lighttpd)';
}

const tlsLines = ({ certFile, keyFile }) => `server.modules += ( "mod_openssl" )
ssl.engine = "enable"
ssl.pemfile = "${certFile}"
ssl.privkey = "${keyFile}"
`;

export async function start({ root, host, place, scratch, tls }) {
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
${tls ? tlsLines(tls) : ''}`);
  if (tls && (await run('lighttpd', ['-tt', '-f', conf])).stderr.includes('mod_openssl')) {
    throw new MissingError('lighttpd cannot load mod_openssl (Debian: apt install lighttpd-mod-openssl)');
  }
  return startServer({ command: 'lighttpd', args: ['-D', '-f', conf], place, host, port });
}
