// What the verbs promise of every descriptor with two ends, whatever it is: run by io-kinds.test.ts in its own process,
// and as a program with the numbers of both ends: `node --import=tsx descriptor-contract.ts READER WRITER`.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import { Aggregate, iolRead, iolReadSync, iolWrite, iolWriteSync, stats, type IolError } from 'io-lite';

export interface Ends {
  reader: number;
  writer: number;
}

const mebibyte = 1 << 20;

function flagsOf(fd: number): string {
  return /flags:\s*(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))![1]!;
}

async function readExactly(fd: number, byteLength: number, read: typeof iolRead | typeof iolReadSync): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let left = byteLength; left > 0;) {
    using part = await read(fd, left);
    assert.ok(part !== null && part.byteLength > 0 && part.byteLength <= left);
    parts.push(part.toBuffer());
    left -= part.byteLength;
  }
  return Buffer.concat(parts);
}

/** Bytes of which each says where it is. */
function counting(byteLength: number): Buffer {
  const bytes = Buffer.alloc(byteLength);
  for (let at = 0; at + 4 <= byteLength; at += 4) bytes.writeUInt32LE(at, at);
  return bytes;
}

async function whatGoesInComesOut({ reader, writer }: Ends): Promise<void> {
  for (const write of [iolWrite, iolWriteSync]) {
    for (const read of [iolRead, iolReadSync]) {
      using bytes = Aggregate.from('at most ', Buffer.from('what is '), 'asked for');
      assert.equal(await write(writer, bytes), 25);
      assert.equal(String(await readExactly(reader, 7, read)), 'at most');
      assert.equal(String(await readExactly(reader, 18, read)), ' what is asked for');
    }
  }
  using none = await iolRead(reader, 0);
  assert.equal(none!.byteLength, 0);
  assert.equal(await iolWrite(writer, ''), 0);
}

async function waitsAreOffTheLoop({ reader, writer }: Ends): Promise<void> {
  const reads = [iolRead(reader, 2), iolRead(reader, 2)];
  await new Promise(setImmediate);
  assert.equal(await iolWrite(writer, 'abcd'), 4);
  const texts = (await Promise.all(reads)).map((bytes) => {
    using owned = bytes!;
    return owned.toString();
  });
  // Each may be short: a terminal is written byte by byte.
  assert.ok(texts.every((text) => text.length === 1 || text.length === 2));
  const waited = texts.join('');
  assert.equal(waited + String(await readExactly(reader, 4 - waited.length, iolRead)), 'abcd');
}

async function whatIsGivenUpTakesNothing({ reader, writer }: Ends): Promise<void> {
  const controller = new AbortController();
  const { signal } = controller;
  const given = iolRead(reader, 9, { signal });
  await new Promise(setImmediate);
  controller.abort();
  await assert.rejects(given, { code: 'ERR_IOL_ABORTED' });
  await assert.rejects(iolRead(reader, 9, { signal }), { code: 'ERR_IOL_ABORTED' });
  await assert.rejects(iolWrite(writer, 'x', { signal }), { code: 'ERR_IOL_ABORTED' });
  for (const call of [iolRead(reader, 9, { position: 0 }), iolWrite(writer, 'x', { position: 0 })]) {
    await assert.rejects(call, { code: 'ERR_IOL_SYSTEM', errno: -29 });
  }
  await iolWrite(writer, 'kept');
  assert.equal(String(await readExactly(reader, 4, iolRead)), 'kept');
}

async function moreThanItHoldsIsWrittenInParts({ reader, writer }: Ends, byteLength: number): Promise<void> {
  const bytes = counting(byteLength);
  const writing = iolWrite(writer, bytes);
  assert.ok((await readExactly(reader, bytes.length, iolRead)).equals(bytes));
  assert.equal(await writing, bytes.length);
}

async function aWriteThatIsGivenUpSaysHowFarItCame({ reader, writer }: Ends): Promise<void> {
  using endless = Aggregate.from(Buffer.alloc(mebibyte, 'e'));
  while (endless.byteLength < 64 * mebibyte) endless.append(endless);
  const controller = new AbortController();
  const writing = iolWrite(writer, endless, { signal: controller.signal });
  const failure = writing.then(() => assert.fail('it holds 64 MiB'), (error: IolError) => error);
  await new Promise(setImmediate);
  controller.abort();
  const { code, bytesWritten = 0 } = await failure;
  assert.equal(code, 'ERR_IOL_ABORTED');
  const read = readExactly(reader, bytesWritten + 1, iolRead);
  await iolWrite(writer, '!');
  const all = await read;
  assert.equal(all.indexOf('!'), bytesWritten, 'so many bytes, and not one more');
  assert.ok(all.subarray(0, -1).every((byte) => byte === 101));
}

/** Throws at the first promise that is broken. The ends stay open, with nothing in them; they hold less than `bytesMax`. */
export async function checkDescriptors(ends: Ends, bytesMax = mebibyte + 5): Promise<void> {
  const { liveHolds } = stats();
  const flags = [flagsOf(ends.reader), flagsOf(ends.writer)];
  await whatGoesInComesOut(ends);
  await waitsAreOffTheLoop(ends);
  await whatIsGivenUpTakesNothing(ends);
  await moreThanItHoldsIsWrittenInParts(ends, bytesMax);
  await aWriteThatIsGivenUpSaysHowFarItCame(ends);
  assert.deepEqual([flagsOf(ends.reader), flagsOf(ends.writer)], flags, 'the flags are everybody\'s');
  assert.equal(stats().liveHolds, liveHolds);
}

if (require.main === module) {
  const [reader, writer] = process.argv.slice(2).map(Number);
  // Of terminals: a master is written byte by byte.
  checkDescriptors({ reader: reader!, writer: writer! }, 20_005).catch((error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  });
}
