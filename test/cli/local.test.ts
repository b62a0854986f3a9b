/** A window without a host, looked at by the CLI and by a program. */
import { strict as assert } from 'node:assert';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { inspectWindows, type WindowReport } from 'io-lite/inspect';
import { layouts } from '../../lib/layout.generated';
import { iol, iolJson, Program } from './world';

const secret = 'nobody may read this sentence from outside';

const source = `
  const { Aggregate, Window } = require('io-lite');
  const ours = Window.default();
  const pool = ours.createPool({ name: 'letters', maxBytes: 64 << 20 });
  let kept = [];
  const deeds = {
    keep: (count) => { for (let i = 0; i < count; i++) { const draft = pool.allocate(5000); draft.write(${JSON.stringify(secret)}); kept.push(draft.seal()); } },
    drop: () => { for (const each of kept) each.dispose(); kept = []; },
    none: () => {},
  };
  onLine((line) => {
    const [deed, count] = line.split(' ');
    deeds[deed](Number(count));
    say(pool.stats());
  });
  say({ id: ours.id, stats: pool.stats() });
`;

describe('iol: a window of one process', function () {
  this.timeout(30_000);
  let program: Program;
  let id: string;
  before(async () => {
    program = Program.start(source);
    ({ id } = await program.answer<{ id: string }>());
  });
  after(() => program.end());

  const show = (): WindowReport => {
    const [report] = iolJson<WindowReport[]>(['show', '--window', id]);
    assert.equal(report?.id, id);
    return report;
  };

  it('is listed, with its process', () => {
    const { code, stdout } = iol(['ls', '--window', id]);
    assert.equal(code, 0);
    const [titles = '', line = '', ...more] = stdout.trimEnd().split('\n');
    assert.match(titles, /^WINDOW +HOST +PID +DOMAINS +POOLS +MEMORY/);
    assert.match(line, new RegExp(`^${id} +- +${program.pid} +1 +`));
    assert.equal(more.length, 0);
    assert.ok(iol([]).stdout.includes(id));
  });

  it('has one domain, which runs, and is seen stopped', async () => {
    const [domain, ...more] = show().domains;
    assert.equal(more.length, 0);
    assert.deepEqual([domain?.pid, domain?.state, domain?.isVisible, domain?.membership], [program.pid, 'running', true, null]);
    assert.match(domain?.command ?? '', /node/);
    assert.ok(Math.abs((domain?.startedAtMs ?? 0) - Date.now()) < 600_000);
    await program.tell('keep 3');
    process.kill(program.pid, 'SIGSTOP');
    try {
      const report = show();
      assert.equal(report.domains[0]?.state, 'stopped');
      // What it has is read all the same.
      assert.ok(report.holds.some((each) => each.buffers === 3));
    } finally {
      process.kill(program.pid, 'SIGCONT');
      await program.tell('drop');
    }
  });

  it('shows of its pool what the pool says itself', async () => {
    const stats = await program.tell<Record<string, number>>('keep 100');
    const report = show();
    const seen = report.pools.find((each) => each.maxBytes === 64 << 20);
    assert.ok(seen);
    assert.equal(seen.name, 'letters');
    const { stdout } = iol(['show', '--window', id]);
    assert.equal(stdout.split(` ${seen.number} letters `).length, 3, 'among the pools and the holds');
    for (const key of ['bytesInUse', 'bytesCommitted', 'buffers', 'drafts', 'pending', 'allocations', 'segments'] as const) {
      assert.equal(seen[key], stats[key], key);
    }
    assert.equal(seen.buffersHeld, 100);
    assert.equal(seen.buffersUnheld, 0);
    const [hold, ...more] = report.holds.filter((each) => each.pool === seen.number);
    assert.equal(more.length, 0);
    assert.deepEqual(
      [hold?.holder, hold?.owner, hold?.buffers, hold?.holds, hold?.oldestSeconds],
      [seen.owner, seen.owner, 100, 100, null],
    );
    assert.equal(hold?.bytes, stats['bytesInUse']);
    await program.tell('drop');
    assert.equal(show().pools.find((each) => each.number === seen.number)?.buffers, 0);
    assert.ok(!show().holds.some((each) => each.pool === seen.number));
  });

  it('is looked at without reading a byte of payload, and without filling a hole', async () => {
    await program.tell('keep 10');
    const read = fs.readSync;
    const inodes = new Map<number, number>(); // Of segments, and where their data begin.
    let reads = 0;
    const spy = (fd: number, buffer: Buffer, at: number, length: number, position: number): number => {
      const count = read(fd, buffer, at, length, position);
      const { ino } = fs.fstatSync(fd);
      if (position === 0 && /segment/.test(fs.readlinkSync(`/proc/self/fd/${fd}`))) {
        const [offset] = layouts.SegmentHeader.dataOffset;
        inodes.set(ino, Number(buffer.readBigUInt64LE(offset)));
      }
      const dataOffset = inodes.get(ino);
      if (dataOffset !== undefined) {
        reads++;
        assert.ok(position + length <= dataOffset, `${position} + ${length} is in the data`);
      }
      assert.ok(!buffer.includes(secret));
      return count;
    };
    const before = inspectWindows({ id })[0]?.allocatedBytes;
    fs.readSync = spy as typeof fs.readSync;
    try {
      const [report] = inspectWindows({ id });
      assert.ok(report?.holds.some((each) => each.buffers === 10));
    } finally {
      fs.readSync = read;
    }
    assert.ok(reads > 0);
    assert.equal(inspectWindows({ id })[0]?.allocatedBytes, before);
    await program.tell('drop');
  });

  it('has tables for each command, and JSON', () => {
    for (const command of ['domains', 'pools', 'holds', 'channels', 'incidents']) {
      const { code, stdout, stderr } = iol([command, '--window', id]);
      assert.deepEqual([code, stderr], [0, ''], command);
      assert.match(stdout.split('\n')[0] ?? '', /^[A-Z]+ {2}/);
      assert.ok(!stdout.includes('\x1b'), 'no colour into a pipe');
      const [json] = iolJson<Record<string, unknown>[]>([command, '--window', id]);
      assert.equal(json?.['id'], id);
      assert.ok(Array.isArray(json?.[command]));
    }
    assert.match(iol(['pools', '--window', id]).stdout, / 64M /);
    assert.match(iol(['pools', '--window', id, '--bytes']).stdout, / 67108864 /);
  });

  it('shows all of it, and one frame of what is live', () => {
    const all = iol(['show', '--window', id]).stdout;
    assert.match(all, new RegExp(`^window +${id}  without a host`));
    const top = iol(['top', '--window', id]);
    assert.equal(top.code, 0);
    assert.ok(top.stdout.startsWith(id));
    assert.match(top.stdout, /ALLOC\/S/);
  });

  it('is live on a terminal until q', async function () {
    if (spawnSync('script', ['--version']).status !== 0) this.skip();
    const main = path.join(__dirname, '../../dist/cli/main.js');
    const command = `"${process.execPath}" "${main}" top --window ${id} --interval 0.1`;
    const child = spawn('script', ['-qec', command, '/dev/null'], { env: { ...process.env, TERM: 'xterm', NO_COLOR: '' } });
    const gone = once(child, 'exit');
    let text = '';
    let frames = 0;
    for await (const piece of child.stdout.setEncoding('utf8')) {
      text += piece as string;
      const drawn = text.split('q ends').length - 1;
      if (drawn > frames && drawn === 2) child.stdin.write('q');
      frames = drawn;
    }
    assert.deepEqual(await gone, [0, null]);
    assert.ok(text.startsWith('\x1b[?1049h') && text.trimEnd().endsWith('\x1b[?1049l'), JSON.stringify(text.slice(-40)));
    assert.ok(text.includes(id) && text.includes('\x1b[1m'), 'titles are bold on a terminal');
  });

  it('has no leaks, until it holds more and more', async () => {
    assert.deepEqual(iol(['leaks', '--window', id, '--seconds', '0']), { code: 0, stdout: 'nothing looks like a leak\n', stderr: '' });
    await program.tell('keep 1');
    const [before] = inspectWindows({ id });
    await program.tell('keep 5');
    const [after] = inspectWindows({ id });
    const { findLeaks } = await import('io-lite/inspect');
    const [leak, ...more] = findLeaks(before!, after!);
    assert.deepEqual([leak?.kind, leak?.pid, leak?.buffersMore, more.length], ['growing', program.pid, 5, 0]);
    await program.tell('drop');
  });

  it('is gone with its process', async () => {
    await program.end();
    const { code, stdout, stderr } = iol(['show', '--window', id]);
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, new RegExp(`no window ${id} is seen`));
    assert.deepEqual(inspectWindows({ id }), []);
  });
});
