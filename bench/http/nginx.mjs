// What the nginx subjects share: one worker, open files remembered.
import { mkdir, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { exists, freePort, startServer } from '../lib/children.mjs';

export async function nginxAvailable() {
  return (await exists('nginx', ['-v'])) || 'nginx is not installed (Debian: apt install nginx-light)';
}

/** `locations` goes into the server block; `log` is `{ file, format }` or undefined. */
export async function startNginx(name, directives, { root, host, place, scratch, log, tls, locations = '' }) {
  const prefix = join(scratch, name);
  const port = await freePort();
  await mkdir(prefix);
  const conf = join(prefix, 'nginx.conf');
  // Started by root its worker would become another user, who cannot read the temporary directory.
  const user = process.getuid() === 0 ? `user ${userInfo().username};` : '';
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((part) => `${part}_temp_path ${join(prefix, part)};`).join('\n  ');
  await writeFile(conf, `${user}
daemon off;
worker_processes 1;
pid ${join(prefix, 'nginx.pid')};
error_log ${join(prefix, 'error.log')};
events { worker_connections 16384; }
http {
  ${temporary}
  log_format json escape=json '{"time":"$time_iso8601","client":"$remote_addr","method":"$request_method",'
    '"target":"$request_uri","status":$status,"bytes":$body_bytes_sent,"referrer":"$http_referer",'
    '"userAgent":"$http_user_agent","seconds":$request_time}';
  access_log ${log ? `${log.file} ${log.format}` : 'off'};
  default_type application/octet-stream;
  keepalive_requests 1000000000;
  keepalive_timeout 300s;
  open_file_cache max=20000 inactive=300s;
  open_file_cache_valid 60s;
  tcp_nodelay on;
  ${directives}
  server {
    listen ${host}:${port}${tls ? ' ssl' : ''};
    ${tls ? `ssl_protocols TLSv1.3; ssl_certificate ${tls.certFile}; ssl_certificate_key ${tls.keyFile};` : ''}
    root ${root};
    ${locations}
  }
}
`);
  const args = ['-e', join(prefix, 'error.log'), '-p', prefix, '-c', conf];
  return startServer({ command: 'nginx', args, place, host, port });
}
