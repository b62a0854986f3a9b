// The error log: what repeats is told as a number, and not swallowed.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { log, loggedTo, logTo } from '../../examples/flash-lite/log';
import { LogFile } from '../../examples/flash-lite/log-file';
import { until } from './support/flash-lite';

describe('Flash-Lite: the error log', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'flash-lite-logs-'));
  let file: LogFile;
  let name: string;
  let names = 0;
  beforeEach(async () => {
    name = path.join(folder, `error-${names++}.log`);
    file = await LogFile.open(name, assert.fail);
    logTo(file);
  });
  afterEach(() => { logTo(undefined); });
  after(() => rmSync(folder, { recursive: true }));
  const lines = (): string[] => readFileSync(name, 'utf8').split('\n').slice(0, -1)
    .map((line) => /^\d{4}-\d\d-\d\dT[\d:.]+Z flash-lite: (.*)$/.exec(line)?.[1] ?? `? ${line}`);

  it('a message that repeats is there once, and then how often it came', async () => {
    for (let i = 0; i < 18; i++) log('it went wrong');
    log('something else');
    await until('the end of the quiet time', () => lines().length >= 3);
    assert.deepEqual(lines(), ['it went wrong', 'something else', 'message repeated 17 times: [ it went wrong ]']);
  });

  it('who gives a log up is told before what it still must know', async () => {
    for (let i = 0; i < 3; i++) log('again');
    log('once');
    const before = loggedTo();
    assert.equal(before, file);
    logTo(undefined);
    await file.close();
    assert.deepEqual(lines(), ['again', 'once', 'message repeated 2 times: [ again ]']);
    assert.equal(loggedTo(), undefined);
  });

  it('what was quiet is told anew in the next log', async () => {
    log('again');
    const next = path.join(folder, 'next.log');
    logTo(await LogFile.open(next, assert.fail));
    log('again');
    const second = loggedTo();
    logTo(undefined);
    await Promise.all([file.close(), second?.close()]);
    assert.deepEqual(lines(), ['again']);
    assert.match(readFileSync(next, 'utf8'), / flash-lite: again\n$/);
  });
});

describe('Flash-Lite: a log file', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'flash-lite-logs-'));
  after(() => rmSync(folder, { recursive: true }));

  it('writes text and bytes in their order, however many wait', async () => {
    const name = path.join(folder, 'a.log');
    const file = await LogFile.open(name, assert.fail);
    const wanted: string[] = [];
    for (let i = 0; i < 100; i++) {
      const line = `line ${i} ü\n`;
      wanted.push(line);
      file.write(i % 2 === 0 ? line : Buffer.from(line));
      assert.ok(file.isBusy);
      if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await file.close();
    assert.equal(readFileSync(name, 'utf8'), wanted.join(''));
    assert.equal(file.dropped, 0);
  });

  it('counts the lines that cannot be written, complains once, and opens anew all the same', async () => {
    const complaints: string[] = [];
    const file = await LogFile.open('/dev/full', (message) => complaints.push(message));
    file.write('a\nb\n', 2);
    file.reopen();
    await until('the failure', () => !file.isBusy);
    file.write(Buffer.from('c\n'));
    await file.close();
    assert.equal(file.dropped, 3);
    assert.equal(complaints.length, 2, complaints.join());
    for (const complaint of complaints) assert.match(complaint, /^\/dev\/full: ENOSPC/);
  });

  it('beyond its bound drops whole texts and counts their lines', async () => {
    const name = path.join(folder, 'bound.log');
    const file = await LogFile.open(name, assert.fail);
    file.write(Buffer.alloc(33 << 20, 'x\n'), 7);
    file.write('fits\n');
    await file.close();
    assert.equal(readFileSync(name, 'utf8'), 'fits\n');
    assert.equal(file.dropped, 7);
  });
});
