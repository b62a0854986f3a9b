// The last lines of a file, however long it is.
//
//   node --import=tsx examples/tail.mts FILE [LINES]
//
// Reads backwards and puts each piece before what it has: no piece is copied or read twice.
import { open } from 'node:fs/promises';

import { Aggregate, iolRead, iolWrite } from 'io-lite';

const pieceBytes = 64 * 1024;
const [name, lines = '10'] = process.argv.slice(2);
if (name === undefined) {
  console.error('usage: tail.mts FILE [LINES]');
  process.exit(2);
}
await using file = await open(name);

/** Where the last `count` lines begin, or -1 when there may be more of them before. */
function startOfLast(bytes: Aggregate, count: number): number {
  let at = bytes.byteLength - 1; // The last byte ends a line, it begins none.
  for (let found = 0; found < count; found++) {
    if (at <= 0) return -1;
    at = bytes.lastIndexOf(0x0a, at - 1);
    if (at < 0) return -1;
  }
  return at + 1;
}

using end = Aggregate.empty();
let start = -1;
for (let from = (await file.stat()).size; from > 0 && start < 0; ) {
  const to = from;
  from = Math.max(0, to - pieceBytes);
  using piece = await iolRead(file.fd, to - from, { position: from });
  if (piece === null || piece.byteLength < to - from) throw new Error(`${name} was truncated`);
  end.prepend(piece);
  start = startOfLast(end, Number(lines));
}
await iolWrite(1, end.consume(Math.max(0, start)));
