// bun.mjs ROOT HOST [CERT KEY], run by bun: every file of ROOT from memory by Bun.serve.
import { readTls } from './listen.mjs';
import { readAll } from './memory.mjs';

const [root, hostname, ...tlsFiles] = process.argv.slice(2);
const files = readAll(root);

const server = Bun.serve({
  hostname,
  port: 0,
  tls: readTls(...tlsFiles),
  idleTimeout: 255,
  fetch(request) {
    const file = files.get(request.url.slice(request.url.indexOf('/', 8)));
    if (file === undefined) return new Response(null, { status: 404 });
    if (request.headers.get('if-none-match') === file.tag) {
      return new Response(null, { status: 304, headers: { ETag: file.tag } });
    }
    return new Response(file.body, { headers: { 'Content-Type': 'application/octet-stream', ETag: file.tag } });
  },
});
console.log(`ready ${server.port}`);
