// A CommonJS program: edits without copying, and answers one HTTP request.
'use strict';

const assert = require('node:assert/strict');
const http = require('node:http');
const { Aggregate, stats, version } = require('io-lite');
const { HttpServer } = require('io-lite/http');
const { serveStatic } = require('io-lite/static');

async function main() {
  assert.equal(version, require('io-lite/package.json').version);

  const hello = Aggregate.from('Hello, ');
  const both = Aggregate.concat(hello, Aggregate.from('window!'));
  assert.equal(both.toString(), 'Hello, window!');
  assert.equal(both.slice(7, 13).toString(), 'window');
  assert.ok(stats().liveHolds > 0);
  assert.equal(typeof serveStatic(__dirname), 'function');

  const head = Aggregate.from('HTTP/1.1 200 OK\r\nContent-Length: 14\r\n');
  const server = await HttpServer.listen({ port: 0 }, (request) => request.respond(head, both));
  const text = await new Promise((resolve, reject) => {
    const request = http.get({ port: server.port, agent: false }, (response) => {
      response.setEncoding('utf8');
      let body = '';
      response.on('data', (chunk) => (body += chunk));
      response.on('end', () => resolve(body));
    });
    request.on('error', reject);
  });
  assert.equal(text, 'Hello, window!');
  await server.close();
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
