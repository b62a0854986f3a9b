// node-http.mjs ROOT HOST: every file of ROOT from memory, with as little per request as Node http allows.
import { createServer } from 'node:http';
import { listen } from './listen.mjs';
import { readAll } from './memory.mjs';

const [root, host] = process.argv.slice(2);
const files = readAll(root);

listen(createServer((request, response) => {
  const file = files.get(request.url);
  if (file === undefined) response.writeHead(404, { 'Content-Length': 0 }).end();
  else if (request.headers['if-none-match'] === file.tag) response.writeHead(304, { ETag: file.tag }).end();
  else response.writeHead(200, file.headers).end(file.body);
}), host);
