// node-http.mjs ROOT HOST [CERT KEY]: every file of ROOT from memory, with as little per request as Node http allows.
import http from 'node:http';
import https from 'node:https';
import { listen, readTls } from './listen.mjs';
import { readAll } from './memory.mjs';

const [root, host, ...tlsFiles] = process.argv.slice(2);
const tls = readTls(...tlsFiles);
const files = readAll(root);

function answer(request, response) {
  const file = files.get(request.url);
  if (file === undefined) response.writeHead(404, { 'Content-Length': 0 }).end();
  else if (request.headers['if-none-match'] === file.tag) response.writeHead(304, { ETag: file.tag }).end();
  else response.writeHead(200, file.headers).end(file.body);
}

listen(tls ? https.createServer(tls, answer) : http.createServer(answer), host);
