// A plain Node HTTP server whose pages share their bytes: one head, one foot, and a middle of its own.
//
//   node --import=tsx examples/pages.mts [PORT]      then  curl 127.0.0.1:PORT/any/path
//
// iolWrite sends an aggregate from where its bytes lie; `/stats` shows what was copied so far.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { Aggregate, iolWrite, stats } from 'io-lite';

const head = Aggregate.from('<!doctype html>\n<title>io-lite</title>\n', '<!-- style -->\n'.repeat(1000));
const foot = Aggregate.from('<!-- foot -->\n'.repeat(1000));

const escaped = (text: string): string => text.replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`);

const server = createServer((request, response) => {
  using page =
    request.url === '/stats'
      ? Aggregate.from(JSON.stringify(stats().copies))
      : Aggregate.concat(head, `<p>You asked for ${escaped(request.url!)}</p>\n`, foot);
  response.setHeader('Content-Length', page.byteLength);
  iolWrite(response, page).then(() => response.end(), () => response.destroy());
});
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
});
