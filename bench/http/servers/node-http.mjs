// node-http.mjs ROOT PORT: every file of ROOT from memory, with as little per request as Node http allows.
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

const [root, port] = process.argv.slice(2);
const files = new Map(readdirSync(root).map((file) => {
  const body = readFileSync(join(root, file));
  return [`/${file}`, { body, headers: { 'Content-Type': 'application/octet-stream', 'Content-Length': body.length } }];
}));

const server = createServer((request, response) => {
  const file = files.get(request.url);
  if (file === undefined) {
    response.writeHead(404, { 'Content-Length': 0 }).end();
    return;
  }
  response.writeHead(200, file.headers).end(file.body);
});
server.listen(Number(port), '127.0.0.1', () => console.log(`ready ${server.address().port}`));
