// Two servers, and what is measured of each: its static answers, and those that programs make.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startServer } from '../lib/children.mjs';
import { compile } from '../lib/compile.mjs';
import { start as startFlashLite } from '../http/subjects/flash-lite.mjs';
import { nginxAvailable, startNginx } from '../http/nginx.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const WORKER = join(HERE, 'worker.mjs');

async function startOurs(options) {
  const program = await compile(join(HERE, 'native/cgi_program.c'), 'cgi_program', options.scratch);
  return startFlashLite({ ...options, arguments: ['--app', `/app=${WORKER}`, '--cgi', `/cgi=${program}`] });
}

/** What Debian's fastcgi_params has, so that the program gets all variables. */
const PARAMS = ['QUERY_STRING $query_string', 'REQUEST_METHOD $request_method', 'CONTENT_TYPE $content_type',
  'CONTENT_LENGTH $content_length', 'SCRIPT_NAME $fastcgi_script_name', 'REQUEST_URI $request_uri',
  'DOCUMENT_URI $document_uri', 'DOCUMENT_ROOT $document_root', 'SERVER_PROTOCOL $server_protocol',
  'REQUEST_SCHEME $scheme', 'GATEWAY_INTERFACE CGI/1.1', 'SERVER_SOFTWARE nginx/$nginx_version',
  'REMOTE_ADDR $remote_addr', 'REMOTE_PORT $remote_port', 'SERVER_ADDR $server_addr', 'SERVER_PORT $server_port',
  'SERVER_NAME $server_name', 'REDIRECT_STATUS 200'];

async function startFastCgi({ place, scratch }) {
  const program = await compile(join(HERE, 'native/fastcgi_app.c'), 'fastcgi_app', scratch);
  const socket = join(scratch, 'fastcgi.sock');
  const app = await startServer({ command: program, args: [socket], place, ready: /ready()/ });
  return { app, socket };
}

async function startTheirs(options) {
  const { app, socket } = await startFastCgi(options);
  const directives = `sendfile on; tcp_nopush on;
  upstream app { server unix:${socket}; keepalive ${options.connections}; }
  fastcgi_buffer_size 32k; fastcgi_buffers 64 32k; fastcgi_busy_buffers_size 256k; fastcgi_max_temp_file_size 0;`;
  const locations = `location /app/ {
      fastcgi_pass app;
      fastcgi_keep_conn on;
      ${PARAMS.map((param) => `fastcgi_param ${param};`).join('\n      ')}
    }`;
  const server = await startNginx('nginx', directives, { ...options, locations });
  return { ...server, pids: [...server.pids, ...app.pids] };
}

/** By name: `about`, `available()`, `start(options)`. */
export const servers = {
  'flash-lite': { about: 'this project', available: async () => true, start: startOurs },
  nginx: { about: 'one worker, sendfile', available: nginxAvailable, start: startTheirs },
};

const fresh = (prefix) => ({
  path: (size) => `${prefix}/fresh/${size}`,
  loadArgs: ['--counter', '1'],
});
const same = (prefix) => ({ path: (size) => `${prefix}/same/${size}` });

/** What is measured; `row`: static, fresh (made for each request) or same (made once, sent again). */
export const subjects = [
  { name: 'flash-lite', server: 'flash-lite', row: 'static', about: 'its file cache' },
  { name: 'flash-lite-worker-same', server: 'flash-lite', row: 'same', about: 'a worker in JavaScript, by channel', ...same('/app') },
  { name: 'flash-lite-worker-fresh', server: 'flash-lite', row: 'fresh', about: 'the same worker', ...fresh('/app') },
  { name: 'flash-lite-cgi', server: 'flash-lite', row: 'fresh', about: 'a C program, a process for each request', ...fresh('/cgi') },
  { name: 'nginx', server: 'nginx', row: 'static', about: 'sendfile' },
  { name: 'nginx-fastcgi-same', server: 'nginx', row: 'same', about: 'a C program, epoll, kept connections', ...same('/app') },
  { name: 'nginx-fastcgi-fresh', server: 'nginx', row: 'fresh', about: 'the same program', ...fresh('/app') },
];

export const staticOf = (subject) => subjects.find((each) => each.server === subject.server && each.row === 'static');
