// All permutations of the words of a string, one after the other, as in the paper's `permute | wc`.
//
//   node --import=tsx examples/permute.mts [STRING [WORD_CHARS]] | node --import=tsx examples/wc.mts
//
// Without a window its bytes go through the pipe. Started by `examples/with-window.mts`, both programs share
// one, and only the names of the bytes go to wc, which counts them where permute has put them.
import { iolWrite, Window } from 'io-lite';

const [string = 'one two three four five six seven ', chars = ''] = process.argv.slice(2);
const wordChars = Number(chars || 0);
const pieceBytes = 256 << 10;

const words = wordChars > 0
  ? string.match(new RegExp(`[^]{1,${wordChars}}`, 'g')) ?? []
  : string.match(/\S+\s*/g) ?? [];
if (words.length < 1 || words.length > 12 || Buffer.byteLength(string) > pieceBytes) {
  console.error('usage: permute.mts [STRING [WORD_CHARS]]    of 1 to 12 words, or pieces of so many bytes');
  process.exit(2);
}

/** Each order of the words once: Heap's algorithm, without recursion. */
function* permutations(bytes: Uint8Array[]): Generator<Uint8Array[]> {
  const turns = bytes.map(() => 0);
  yield bytes;
  for (let i = 1; i < bytes.length;) {
    if (turns[i]! === i) {
      turns[i++] = 0;
      continue;
    }
    const from = i % 2 === 0 ? 0 : turns[i]!;
    [bytes[from], bytes[i]] = [bytes[i]!, bytes[from]!];
    turns[i]!++;
    i = 1;
    yield bytes;
  }
}

const pool = Window.default().defaultPool;
const lineBytes = Buffer.byteLength(string);
const linesMax = Math.floor(pieceBytes / lineBytes);
const all = permutations(words.map((word) => Buffer.from(word)));
let next = all.next();
while (!next.done) {
  const draft = pool.allocate(linesMax * lineBytes);
  const target = new Uint8Array(draft.bytes()); // The window's own memory.
  let at = 0;
  for (let lines = 0; lines < linesMax && !next.done; lines++) {
    for (const word of next.value) {
      target.set(word, at);
      at += word.length;
    }
    next = all.next();
  }
  using piece = draft.seal(at);
  await iolWrite(1, piece, { upgrade: true });
}
