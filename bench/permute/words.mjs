// What permute writes and wc counts, whatever carries the bytes between them.

const A = 0x61;

/** `count` words of eight letters in one line of bytes, the last of each a space. */
function firstLine(count) {
  const line = new Uint8Array(count * 8);
  for (let i = 0; i < line.length; i++) line[i] = i % 8 === 7 ? 0x20 : A + ((i + (i >> 3)) % 26);
  line[line.length - 1] = 0x0a;
  return line;
}

export const bytesOf = (count) => count * 8 * Array.from({ length: count }, (_, i) => i + 1).reduce((a, b) => a * b, 1);

/** Fills one piece of memory after the other with all permutations of the words: Heap's algorithm. */
export class Permutations {
  #line;
  #words;
  #turns;
  #isDone = false;

  constructor(count) {
    this.#line = firstLine(count);
    this.#words = new Float64Array(this.#line.buffer);
    this.#turns = new Int32Array(count);
  }

  /** Bytes that were written; 0 when there are no more. */
  fill(target) {
    const length = this.#line.length;
    let at = 0;
    for (; at + length <= target.length && !this.#isDone; at += length) {
      target.set(this.#line, at);
      this.#isDone = !this.#step();
    }
    return at;
  }

  #step() {
    const turns = this.#turns;
    const words = this.#words;
    for (let i = 1; i < turns.length; i++) {
      if (turns[i] === i) {
        turns[i] = 0;
        continue;
      }
      const from = i % 2 === 0 ? 0 : turns[i];
      const word = words[from];
      words[from] = words[i];
      words[i] = word;
      turns[i]++;
      return true;
    }
    return false;
  }
}

/** Counts as wc does. */
export class Counter {
  bytes = 0;
  lines = 0;
  words = 0;
  #isInWord = false;

  add(piece) {
    let { lines, words } = this;
    let isInWord = this.#isInWord;
    for (let i = 0; i < piece.length; i++) {
      const byte = piece[i];
      if (byte > 0x20) {
        if (!isInWord) words++;
        isInWord = true;
      } else {
        if (byte === 0x0a) lines++;
        isInWord = !(byte === 0x20 || (byte >= 0x09 && byte <= 0x0d));
      }
    }
    this.bytes += piece.length;
    this.lines = lines;
    this.words = words;
    this.#isInWord = isInWord;
  }
}

/** What it cost, for the runner, which has descriptor 3. */
export function tell(report, writeSync) {
  const { user, system } = process.cpuUsage();
  writeSync(3, `${JSON.stringify({ ...report, cpuUs: user + system })}\n`);
}
