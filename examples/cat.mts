// Files one after the other to the standard output; `-`, or no file, is the standard input.
//
//   node --import=tsx examples/cat.mts [FILE...]
//
// A file is read once into the window and written from there; twice the same file is one copy. In a pipeline of a
// window (examples/with-window.mts) what comes by name goes on by name.
import { open } from 'node:fs/promises';

import { iolRead, iolWrite } from 'io-lite';

const pieceBytes = 1 << 20;

async function send(fd: number): Promise<void> {
  for (;;) {
    using bytes = await iolRead(fd, pieceBytes, { upgrade: true });
    if (bytes === null) return;
    await iolWrite(1, bytes, { upgrade: true });
  }
}

const names = process.argv.slice(2);
for (const name of names.length > 0 ? names : ['-']) {
  if (name === '-') {
    await send(0);
  } else {
    await using file = await open(name);
    await send(file.fd);
  }
}
