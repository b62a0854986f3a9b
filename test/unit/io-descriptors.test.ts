// The verbs on descriptors that others close, share, or open in odd ways.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync,
} from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import path from 'node:path';

import {
  Aggregate, FileCache, iolRead, iolReadSync, iolWrite, iolWriteSync, stats, Window, type IolError,
} from 'io-lite';

import { runChild } from '../support/child';
import { openFifo } from '../support/fifo';

let folder: string;
let files = 0;
const newName = (): string => path.join(folder, `name-${files++}`);

/** What is checked of both forms, with the promise's failure and the sync form's alike. */
async function failureOf(work: () => unknown): Promise<IolError> {
  try {
    await work();
  } catch (error) {
    return error as IolError;
  }
  throw new Error('it did not fail');
}

describe('descriptors', () => {
  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'iol-descriptors-'));
  });
  after(() => {
    rmSync(folder, { recursive: true });
    FileCache.default().close();
  });

  it('a pipe that is closed while it is waited for is EBADF, and its number is not read', async () => {
    const { reader, writer } = openFifo(newName());
    const waiting = iolRead(reader, 10);
    closeSync(reader);
    const other = newName();
    writeFileSync(other, 'another file');
    const reused = openSync(other, 'r');
    assert.equal(reused, reader, 'the number is another file now');
    writeSync(writer, 'for nobody');
    await assert.rejects(waiting, { code: 'ERR_IOL_SYSTEM', errno: -9, syscall: 'read' });
    using bytes = iolReadSync(reused, 100);
    assert.equal(bytes!.toString(), 'another file');
    closeSync(reused);
    closeSync(writer);
  });

  it('what waits for a closed descriptor does not meet the file that has its number now', async () => {
    FileCache.default().close();
    const { reader, writer } = openFifo(newName());
    const before = stats().liveHolds;
    const old = [iolWrite(writer, 'x'.repeat(1 << 20)), iolWrite(writer, 'for the pipe')];
    const reads = [iolRead(reader, 10), iolRead(reader, 10)];
    (await Promise.all(reads)).forEach((bytes) => bytes!.dispose());
    const ends = old.map((each) => failureOf(() => each));
    closeSync(writer);
    const other = newName();
    const reused = openSync(other, 'w+');
    assert.equal(reused, writer, 'the number is another file now');
    assert.equal(await iolWrite(reused, 'mine'), 4, 'and does not wait for the pipe');
    for (const { errno } of await Promise.all(ends)) assert.equal(errno, -9);
    assert.equal(iolWriteSync(reused, '!'), 1, 'nor is it busy');
    assert.equal(readFileSync(other, 'latin1'), 'mine!');
    closeSync(reused);
    closeSync(reader);
    FileCache.default().close();
    assert.equal(stats().liveHolds, before);
  });

  it('waits end when the window is closed, in both directions', async () => {
    const result = await runChild(`
      const { iolRead, iolWrite, Window, stats } = require('io-lite');
      const { openSync, constants } = require('node:fs');
      require('node:child_process').execFileSync('mkfifo', [${JSON.stringify(path.join(folder, 'closing'))}]);
      const fd = openSync(${JSON.stringify(path.join(folder, 'closing'))}, constants.O_RDWR);
      const empty = iolRead(fd, 10).catch((error) => error.code);
      setImmediate(async () => {
        Window.default().close();
        console.log(await empty);
        Window.default(); // Opens it anew.
        const full = iolWrite(fd, 'x'.repeat(1 << 20)).catch((error) => [error.code, error.bytesWritten > 0].join());
        const queued = iolWrite(fd, 'y').catch((error) => error.code);
        setImmediate(async () => {
          Window.default().close();
          console.log(await full, await queued);
        });
      });
    `);
    assert.equal(result.stdout, 'ERR_IOL_CLOSED\nERR_IOL_CLOSED,true ERR_IOL_CLOSED\n', result.stderr);
    assert.equal(result.code, 0, 'nothing keeps the process alive');
  });

  it('an aborted write says what was written, and leaves no hold', async () => {
    const { reader, writer } = openFifo(newName());
    const { liveHolds } = stats();
    const writing = iolWrite(writer, 'x'.repeat(1 << 20), { signal: AbortSignal.timeout(20) });
    const error = await failureOf(() => writing);
    assert.equal(error.code, 'ERR_IOL_ABORTED');
    let read = 0;
    while (read < error.bytesWritten!) {
      using part = await iolRead(reader, 1 << 20);
      read += part!.byteLength;
    }
    assert.equal(read, error.bytesWritten, 'and no byte more');
    assert.equal(stats().liveHolds, liveHolds);
    closeSync(reader);
    closeSync(writer);
  });

  it('an aborted read at the own position leaves its bytes to the next', async () => {
    const name = newName();
    writeFileSync(name, '0123456789');
    for (let round = 0; round < 50; round++) {
      FileCache.default().close();
      const fd = openSync(name, 'r');
      const controller = new AbortController();
      const given = iolRead(fd, 4, { signal: controller.signal }).catch((error: IolError) => error.code);
      if (round % 2 === 0) setImmediate(() => controller.abort());
      else controller.abort();
      const first = await given;
      using next = await iolRead(fd, 4);
      assert.equal(next!.toString(), first === 'ERR_IOL_ABORTED' ? '0123' : '4567');
      if (typeof first === 'object') first!.dispose();
      closeSync(fd);
    }
  });

  it('devices: zeros without end, nothing, and no room', async () => {
    const zero = openSync('/dev/zero', 'r+');
    const nothing = openSync('/dev/null', 'r+');
    const full = openSync('/dev/full', 'r+');
    using zeros = await iolRead(zero, 5000);
    assert.ok(zeros!.byteLength > 0 && zeros!.toBuffer().every((byte) => byte === 0));
    assert.equal(await iolRead(nothing, 10), null);
    assert.equal(await iolWrite(nothing, 'gone'), 4);
    assert.equal((await failureOf(() => iolWrite(full, 'x'))).errno, -28);
    assert.equal((await failureOf(() => iolWriteSync(full, 'x'))).errno, -28);
    for (const fd of [zero, nothing, full]) closeSync(fd);
  });

  it('a Unix socket, both ways, without a byte of O_NONBLOCK', async () => {
    const name = newName();
    const server = createServer({ pauseOnConnect: true }).listen(name);
    await once(server, 'listening');
    const near = connect(name);
    const [far] = (await once(server, 'connection')) as [Socket];
    const { fd } = (far as unknown as { _handle: { fd: number } })._handle;
    const waiting = iolRead(fd, 100);
    near.write('ping');
    using bytes = await waiting;
    assert.equal(await iolWrite(fd, bytes!), 4);
    assert.equal(String((await once(near, 'data'))[0]), 'ping');
    near.end();
    assert.equal(await iolRead(fd, 100), null);
    far.destroy();
    server.close();
  });

  it('0 and 1 of a process, whatever they are', () => {
    const program = `
      const { iolRead, iolWrite } = require('io-lite');
      (async () => {
        for (let bytes; (bytes = await iolRead(0, 100_000)) !== null; bytes.dispose()) await iolWrite(1, bytes);
      })();
    `;
    const input = 'a line\n'.repeat(50_000);
    const piped = spawnSync(process.execPath, ['-e', program], { input, encoding: 'utf8', maxBuffer: 1 << 24 });
    assert.ok(piped.stdout === input, piped.stderr);
    const source = newName();
    const target = newName();
    writeFileSync(source, input);
    const stdio = [openSync(source, 'r'), openSync(target, 'a'), 'inherit'] as const;
    spawnSync(process.execPath, ['-e', program], { stdio: [...stdio] });
    assert.ok(readFileSync(target, 'latin1') === input);
    closeSync(stdio[0]);
    closeSync(stdio[1]);
  });

  it('0 and 1 closed before the process began are an empty input and an output for nobody', () => {
    const program = `
      const { iolRead, iolReadSync, iolWrite } = require('io-lite');
      (async () => {
        const read = [iolReadSync(0, 10), await iolRead(0, 10), await iolWrite(1, 'for nobody')];
        console.error(JSON.stringify(read));
      })();
    `;
    const run = spawnSync('sh', ['-c', 'exec "$0" -e "$1" <&- >&-', process.execPath, program], { encoding: 'utf8' });
    assert.equal(run.stderr.trim(), '[null,null,10]');
  });

  it('0, 1 and 2 closed by the program are never numbers of the library\'s own', async () => {
    const child = await runChild(`
      const fs = require('node:fs');
      for (const fd of [0, 1, 2]) fs.closeSync(fd);
      const { Aggregate, FileCache, Window } = require('io-lite');
      (async () => {
        const window = await Window.create({ label: 'lowNumbers' });
        Aggregate.from('x'.repeat(3_000_000));
        await (await FileCache.default().open(process.execPath)).read(0, 1 << 20);
        process.exitCode = [0, 1, 2].filter((fd) => fs.existsSync('/proc/self/fd/' + fd)).length;
        window.close();
      })();
    `);
    assert.deepEqual([child.code, child.signal], [0, null]);
  });

  it('a process may exit while files are written, read and waited for', async () => {
    const name = newName();
    const child = await runChild(`
      const { Aggregate, FileCache, iolRead, iolWrite } = require('io-lite');
      const fd = require('node:fs').openSync(${JSON.stringify(name)}, 'w+');
      const piece = Aggregate.from('A'.repeat(1 << 20));
      for (let i = 0; i < 16; i++) void iolWrite(fd, piece, { position: i << 20, fsync: i % 2 === 0 });
      void FileCache.default().open(process.execPath).then((file) => file.read());
      void iolRead(fd, 1 << 20);
      setImmediate(() => process.exit(7));
    `);
    assert.deepEqual([child.code, child.signal], [7, null], child.stderr);
    const written = readFileSync(name);
    assert.ok(written.equals(Buffer.alloc(written.length, 'A')), 'it is there from the front, without a hole');
  });

  it('a terminal as 0 and 1', function () {
    const program = `
      const { iolRead, iolWrite } = require('io-lite');
      (async () => {
        await iolWrite(1, require('node:tty').isatty(1) + ' ' + 'long '.repeat(5000) + 'end');
        const bytes = await iolRead(0, 100);
        await iolWrite(1, 'read ' + bytes);
      })();
    `;
    const file = newName();
    writeFileSync(file, program);
    const command = `cd ${process.cwd()} && ${process.execPath} -e "$(cat ${file})"`;
    const run = spawnSync('script', ['-qec', command, '/dev/null'], { input: 'typed\n', encoding: 'utf8' });
    if (run.error !== undefined) this.skip(); // There is no script(1).
    assert.ok(run.stdout.includes('true long long '), run.stdout.slice(0, 200) + run.stderr);
    assert.ok(run.stdout.includes('read typed'));
  });

  it('bad input is typed, and takes nothing', async () => {
    const name = newName();
    writeFileSync(name, 'content');
    const fd = openSync(name, 'r+');
    const { reader, writer } = openFifo(newName());
    const directory = openSync(folder, 'r');
    const path = openSync(name, 0x20_0000); // O_PATH
    const { liveHolds, aggregates } = stats();
    const pool = Window.default().createPool({ name: 'released' });
    pool.dispose();
    for (const read of [iolRead, iolReadSync]) {
      for (const size of [-1, 1.5, NaN, 2 ** 53]) {
        assert.equal((await failureOf(() => read(fd, size))).code, 'ERR_OUT_OF_RANGE');
        assert.equal((await failureOf(() => read(fd, 1, { position: size }))).code, 'ERR_OUT_OF_RANGE');
      }
      assert.equal((await failureOf(() => read(fd, '1' as never))).code, 'ERR_INVALID_ARG_TYPE');
      assert.equal((await failureOf(() => read('1' as never, 1))).code, 'ERR_INVALID_ARG_TYPE');
      assert.equal((await failureOf(() => read(-1, 1))).code, 'ERR_OUT_OF_RANGE');
      assert.equal((await failureOf(() => read(fd, 1, { pool }))).code, 'ERR_IOL_CLOSED');
      assert.equal((await failureOf(() => read(reader, 1, { position: 0 }))).errno, -29);
      assert.equal((await failureOf(() => read(writer, 1))).errno, -9);
      assert.equal((await failureOf(() => read(directory, 1))).errno, -21);
      assert.equal((await failureOf(() => read(path, 1))).errno, -9);
      assert.equal((await failureOf(() => read(54_321, 1))).errno, -9);
      assert.equal(await read(fd, 1, { position: Number.MAX_SAFE_INTEGER }), null);
    }
    for (const write of [iolWrite, iolWriteSync]) {
      for (const position of [-1, 1.5, NaN, 2 ** 53]) {
        assert.equal((await failureOf(() => write(fd, 'x', { position }))).code, 'ERR_OUT_OF_RANGE');
      }
      assert.equal((await failureOf(() => write(fd, 5 as never))).code, 'ERR_INVALID_ARG_TYPE');
      assert.equal((await failureOf(() => write(writer, 'x', { position: 0 }))).errno, -29);
      assert.equal((await failureOf(() => write(reader, 'x'))).errno, -9);
      assert.equal((await failureOf(() => write(directory, 'x'))).errno, -9);
      assert.equal((await failureOf(() => write(path, 'x'))).errno, -9);
      assert.equal((await failureOf(() => write(fd, 'x', { position: Number.MAX_SAFE_INTEGER }))).errno, -27);
      const released = Aggregate.from('x');
      released.dispose();
      assert.equal((await failureOf(() => write(fd, released))).code, 'ERR_IOL_CLOSED');
    }
    assert.equal(readFileSync(name, 'latin1'), 'content');
    FileCache.default().close();
    assert.ok(stats().liveHolds <= liveHolds);
    assert.equal(stats().aggregates, aggregates);
    for (const open of [fd, reader, writer, directory, path]) closeSync(open);
  });
});
