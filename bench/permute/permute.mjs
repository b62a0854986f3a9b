// permute: WAY (io-lite | fs) WORDS PIECE_BYTES. Writes to descriptor 1.
import { writeSync } from 'node:fs';
import { iolite } from './iolite.mjs';
import { Permutations, tell } from './words.mjs';

const [way, words, pieceBytes] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const permutations = new Permutations(words);

if (way === 'fs') {
  const piece = new Uint8Array(pieceBytes);
  for (let length; (length = permutations.fill(piece)) > 0;) {
    for (let at = 0; at < length;) at += writeSync(1, piece, at, length - at);
  }
} else {
  const pool = iolite.Window.default().defaultPool;
  for (;;) {
    const draft = pool.allocate(pieceBytes);
    const length = permutations.fill(new Uint8Array(draft.bytes()));
    if (length === 0) {
      draft.dispose();
      break;
    }
    const piece = draft.seal(length);
    await iolite.iolWrite(1, piece, { upgrade: true });
    piece.dispose();
  }
}
tell({ program: 'permute' }, writeSync);
