// An ES module: reads a file into the window and writes it to a pipe-like file, by reference.
import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Aggregate, iolRead, iolWrite, isIolError } from 'io-lite';
import { HttpServer } from 'io-lite/http';

assert.equal(typeof HttpServer.listen, 'function');

const folder = mkdtempSync(path.join(tmpdir(), 'io-lite-esm-'));
try {
  writeFileSync(path.join(folder, 'in'), 'read once');
  const input = openSync(path.join(folder, 'in'), 'r');
  const output = openSync(path.join(folder, 'out'), 'w');
  const file = await iolRead(input, 65536);
  const out = Aggregate.concat(Aggregate.from('<'), file, Aggregate.from('>'));
  assert.equal(await iolWrite(output, out), 11);
  closeSync(input);
  closeSync(output);
  assert.equal(readFileSync(path.join(folder, 'out'), 'utf8'), '<read once>');

  out.dispose();
  assert.throws(() => out.toString(), (error) => isIolError(error) && error.code === 'ERR_IOL_CLOSED');
} finally {
  rmSync(folder, { recursive: true });
}
