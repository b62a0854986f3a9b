// Counts lines, words and bytes of files, or of the standard input, as wc does.
//
//   node --import=tsx examples/wc.mts [FILE...]
//
// No byte is copied: the views lie where the file was read to, or where a program at the other end of the pipe
// has made them (examples/permute.mts). A word may go on in the next slice.
import { open } from 'node:fs/promises';

import { iolRead } from 'io-lite';

const pieceBytes = 1 << 20;

async function count(fd: number): Promise<{ lines: number; words: number; bytes: number }> {
  let [lines, words, bytes] = [0, 0, 0];
  let isInWord = false;
  for (;;) {
    using piece = await iolRead(fd, pieceBytes, { upgrade: true });
    if (piece === null) return { lines, words, bytes };
    bytes += piece.byteLength;
    for (const view of piece) {
      for (let i = 0; i < view.length; i++) {
        const byte = view[i]!;
        if (byte === 0x0a) lines++;
        const isSpace = byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
        if (!isSpace && !isInWord) words++;
        isInWord = !isSpace;
      }
    }
  }
}

function print({ lines, words, bytes }: Awaited<ReturnType<typeof count>>, name: string): void {
  console.log(`${lines} ${words} ${bytes}${name && ` ${name}`}`);
}

const names = process.argv.slice(2);
if (names.length === 0) print(await count(0), '');
for (const name of names) {
  await using file = await open(name);
  print(await count(file.fd), name);
}
