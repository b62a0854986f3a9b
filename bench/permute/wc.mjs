// wc: WAY (io-lite | fs) PIECE_BYTES. Reads descriptor 0.
import { readSync, writeSync } from 'node:fs';
import { iolite } from './iolite.mjs';
import { Counter, tell } from './words.mjs';

const [way, pieceBytes] = [process.argv[2], Number(process.argv[3])];
const counter = new Counter();

if (way === 'fs') {
  const piece = new Uint8Array(pieceBytes);
  for (let length; (length = readSync(0, piece, 0, pieceBytes, null)) > 0;) counter.add(piece.subarray(0, length));
} else {
  for (let piece; (piece = await iolite.iolRead(0, pieceBytes, { upgrade: true })) !== null;) {
    for (const view of piece) counter.add(view);
    piece.dispose();
  }
}
const { bytes, lines, words } = counter;
tell({ program: 'wc', bytes, lines, words }, writeSync);
