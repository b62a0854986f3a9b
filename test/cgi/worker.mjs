// The worker of workers.test.ts: does what the path says, also what no worker should do.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { Aggregate, FileCache, stats } from 'io-lite';
import { CgiResponseHead, serve } from 'io-lite/cgi';

const plain = new CgiResponseHead(200, { 'Content-Type': 'text/plain' });
const again = Aggregate.from('again '.repeat(50_000));
const heads = Array.from({ length: 300 }, (_, i) => new CgiResponseHead(200 + i % 3, { 'X-Head': i }));
let left = 0;

function respond(request, text, head = plain) {
  const body = Aggregate.from(text);
  request.respond(head, body);
  body.dispose();
}

const actions = {
  env: (request) => respond(request, JSON.stringify(request.variables)),
  facts: (request) => respond(request, JSON.stringify([
    request.method, request.target, request.versionMinor, request.header('x-a'), request.rawHeaders.length,
  ])),
  pid: (request) => respond(request, `${process.pid}`),
  again: (request) => request.respond(plain, again),
  fresh: (request, size) => respond(request, Buffer.alloc(Number(size), 'f')),
  empty: (request) => request.respond(new CgiResponseHead(204)),
  head: (request) => respond(request, 'x', new CgiResponseHead(203, { 'Set-Cookie': ['a=1', 'b=2'], 'X-Long': 'l'.repeat(3000) })),
  heads: (request, number) => respond(request, 'n'.repeat(Number(number) % 7), heads[Number(number)]),
  released: (request) => {
    const body = Aggregate.from('gone');
    body.dispose();
    try {
      request.respond(plain, body);
    } catch (error) {
      respond(request, error.code);
    }
  },
  echo: async (request) => {
    request.start(plain);
    for await (const part of request.body) {
      await request.write(part);
      part.dispose();
    }
    request.end();
  },
  length: async (request) => {
    let bytes = 0;
    for await (const part of request.body) {
      bytes += part.byteLength;
      part.dispose();
    }
    respond(request, `${bytes}`);
  },
  // Where the body lies.
  where: async (request) => {
    const slices = [];
    for await (const part of request.body) {
      slices.push(...part.slices().map(({ address, byteLength }) => [address, byteLength]));
      part.dispose();
    }
    respond(request, JSON.stringify(slices));
  },
  stream: async (request, size) => {
    const part = Aggregate.from(Buffer.alloc(65536, 's'));
    request.start(plain, Number(size));
    try {
      for (let leftBytes = Number(size); leftBytes > 0; leftBytes -= 65536) {
        const sent = leftBytes < 65536 ? part.slice(0, leftBytes) : part;
        await request.write(sent);
      }
      request.end();
    } finally {
      part.dispose();
    }
  },
  short: async (request) => {
    request.start(plain, 10);
    const part = Aggregate.from('12345');
    await request.write(part);
    part.dispose();
    request.end();
  },
  file: async (request) => {
    const file = await FileCache.default().open(fileURLToPath(import.meta.url));
    const body = await file.read(0, file.byteLength);
    request.respond(plain, body);
    body.dispose();
    file.close();
  },
  // A file of the server's; what goes wrong is let out.
  give: async (request, query) => {
    const { path, offset, length, status = 200, mark, then } = JSON.parse(decodeURIComponent(query));
    const head = status === 200 ? plain : new CgiResponseHead(status, { 'X-Long': 'l'.repeat(3000) });
    await request.respondFile(head, path, offset, length);
    if (mark !== undefined) writeFileSync(mark, 'began');
    if (then !== undefined) actions[then](request);
  },
  // The same; what goes wrong is the answer.
  tell: async (request, query) => {
    try {
      await actions.give(request, query);
    } catch ({ name, code, errno, message }) {
      respond(request, JSON.stringify({ name, code, errno, message }));
    }
  },
  stats: (request) => {
    const { liveHolds, copies, windowBytes } = stats();
    respond(request, JSON.stringify({ liveHolds, copies, windowBytes, left }));
  },
  never: (request, file) => {
    request.signal.addEventListener('abort', () => left++);
    if (file) writeFileSync(decodeURIComponent(file), 'began');
  },
  hang: () => {
    for (;;);
  },
  exit: () => process.exit(3),
  kill: () => process.kill(process.pid, 'SIGKILL'),
  throw: () => {
    throw new Error('thrown on purpose');
  },
  reject: () => Promise.reject(new Error('rejected on purpose')),
  abort: (request) => request.abort('no reason'),
  then: async (request, what) => {
    // So much that the next may come only when the server has sent it.
    const part = Aggregate.from('x'.repeat(1 << 20));
    request.start(plain);
    await request.write(part);
    part.dispose();
    await actions[what](request);
  },
};

console.log('hello from a worker');
await serve((request) => {
  const [, action = '', argument = ''] = request.variables.PATH_INFO.split('/');
  if (actions[action] === undefined) return respond(request, 'unknown', new CgiResponseHead(404));
  return actions[action](request, request.variables.QUERY_STRING || argument);
});
