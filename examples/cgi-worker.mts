// A worker that answers requests of Flash-Lite from memory of its own, which nobody copies:
//
//   npm start -- --app /app=examples/cgi-worker.mts --env NODE_OPTIONS=--import=tsx
//
// (Node from 24 on needs no --env.)
//
//   /app/again    the same bytes for everybody
//   /app/count    made anew for each request
//   /app/echo     what was posted, sent back from where it was received
//   /app/file     a file, from this process's file cache
//   /app/served/… a file below the server's root, from the server's file cache
import { fileURLToPath } from 'node:url';

import { Aggregate, FileCache } from 'io-lite';
import { CgiResponseHead, serve, type CgiRequest } from 'io-lite/cgi';

const text = new CgiResponseHead(200, { 'Content-Type': 'text/plain; charset=utf-8' });
const missing = new CgiResponseHead(404, { 'Content-Type': 'text/plain; charset=utf-8' });
const again = Aggregate.from('made once\n'.repeat(10_000));
const self = await FileCache.default().open(fileURLToPath(import.meta.url));
let count = 0;

async function answer(request: CgiRequest): Promise<void> {
  switch (request.variables['PATH_INFO']) {
    case '/again':
      request.respond(text, again);
      break;
    case '/count': {
      using body = Aggregate.from(`request ${++count} of this worker\n`);
      request.respond(text, body);
      break;
    }
    case '/echo':
      request.start(text);
      for await (using part of request.body) await request.write(part);
      request.end();
      break;
    case '/file': {
      using body = await self.read(0, self.byteLength);
      request.respond(text, body);
      break;
    }
    default: {
      const path = /^\/served(\/.+)$/.exec(request.variables['PATH_INFO'] ?? '')?.[1];
      if (path !== undefined) return request.respondFile(text, `${request.variables['DOCUMENT_ROOT']}${path}`);
      using body = Aggregate.from('there is nothing here\n');
      request.respond(missing, body);
    }
  }
}

await serve(answer);
