/** The small programs of examples/, each run as its first lines say. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { assertSame, collect, countingBytes, portOf } from './streams/world';

const root = path.join(__dirname, '..');
const here = readFileSync(__filename, 'utf8');
const program = (name: string): string => path.join(root, 'examples', `${name}.mts`);

function run(name: string, args: string[], input?: Buffer | string): Buffer {
  const command = ['--import=tsx', program(name), ...args];
  return execFileSync(process.execPath, command, { cwd: root, input, maxBuffer: 1 << 28 });
}

/** Starts one that goes on, and gives its first line. */
async function start(name: string, args: string[]): Promise<{ child: ChildProcess; line: string }> {
  const child = spawn(process.execPath, ['--import=tsx', program(name), ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [data] = (await once(child.stdout, 'data')) as [Buffer];
  return { child, line: String(data).trim() };
}

async function stop(child: ChildProcess): Promise<void> {
  child.kill();
  await once(child, 'close');
}

describe('the examples', function () {
  this.timeout(60_000);
  let folder: string;
  let file: string;
  const content = Array.from({ length: 30_000 }, (_, i) => `line ${i} has  some words\n`).join('');
  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'iol-examples-'));
    file = path.join(folder, 'file.txt');
    writeFileSync(file, content);
  });
  after(() => rmSync(folder, { recursive: true }));

  it('cat: files and the standard input', () => {
    const all = run('cat', [file, '-', file], 'between\n');
    assert.equal(String(all), `${content}between\n${content}`);
  });

  it('wc: what wc says', () => {
    const wanted = (text: string): string => text.trim().replace(/ +/g, ' ');
    const theirs = execFileSync('wc', [file], { env: { ...process.env, LC_ALL: 'C' } });
    assert.equal(String(run('wc', [file])).trim(), wanted(String(theirs)));
    assert.equal(String(run('wc', [], 'no end')), '0 2 6\n');
  });

  it('tail: the last lines, across pieces, and all of a short file', () => {
    const lines = content.split('\n').slice(0, -1);
    for (const count of [1, 10, 5000]) {
      assert.equal(String(run('tail', [file, String(count)])), `${lines.slice(-count).join('\n')}\n`);
    }
    assert.equal(String(run('tail', [file, '99999'])), content);
    const open = path.join(folder, 'open.txt');
    writeFileSync(open, 'a\nb\nno end');
    assert.equal(String(run('tail', [open, '2'])), 'b\nno end');
  });

  it('tell how they are used when something is missing', () => {
    for (const [name, args] of [['tail', []], ['forward', []], ['forward', ['0', 'nowhere']]] as const) {
      const command = ['--import=tsx', program(name), ...args];
      const { status, stderr } = spawnSync(process.execPath, command, { cwd: root, encoding: 'utf8' });
      assert.equal(status, 2);
      assert.match(stderr, new RegExp(`^usage: ${name}.mts `));
    }
  });

  it('forward: both directions of a connection, which may be half closed', async () => {
    const echo = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
    echo.listen(0, '127.0.0.1');
    await once(echo, 'listening');
    const { child, line } = await start('forward', ['0', `127.0.0.1:${portOf(echo)}`]);
    const socket = connect({ port: Number(/:(\d+) ->/.exec(line)![1]), host: '127.0.0.1' });
    const bytes = countingBytes(2 << 20);
    socket.end(bytes);
    assertSame(await collect(socket), bytes);
    await stop(child);
    echo.close();
  });

  it('pages: shared head and foot, of which no byte is copied again', async () => {
    const { child, line } = await start('pages', []);
    const copied = async (): Promise<{ write: { bytes: number } }> =>
      (await (await fetch(`${line}stats`)).json()) as { write: { bytes: number } };
    const before = (await copied()).write.bytes;
    const page = await (await fetch(`${line}a<b`)).text();
    assert.match(page, /^<!doctype html>[^]*You asked for \/a(%3C|&#60;)b<\/p>\n(<!-- foot -->\n){1000}$/);
    const grown = (await copied()).write.bytes - before;
    assert.ok(grown < 2000, `${grown} bytes were copied for a page of ${page.length}`);
    await stop(child);
  });

  it('two-processes: the same bytes at the same address', () => {
    const printed = String(run('two-processes', ['100000']));
    const [, address] = /^parent: 100000 bytes at (\d+)\n/.exec(printed)!;
    assert.equal(printed, `parent: 100000 bytes at ${address}\n` +
      `child: all of it, 100000 bytes at ${address}\n` +
      `child: its end, 8 bytes at ${Number(address) + 99_992}\n`);
  });

  it('permute: each order of the words once, by pipe and by name', () => {
    const three = String(run('permute', ['a b c ']));
    assert.deepEqual(three.match(/.{6}/g)!.sort(), ['a b c ', 'a c b ', 'b a c ', 'b c a ', 'c a b ', 'c b a ']);
    const words = 'one two three four five six seven ';
    const pipeline = 'node --import=tsx examples/permute.mts | node --import=tsx examples/wc.mts';
    const printed = `0 ${5040 * 7} ${5040 * words.length}\n`;
    assert.equal(execFileSync('sh', ['-c', pipeline], { cwd: root, encoding: 'utf8' }), printed);
    assert.equal(String(run('with-window', [pipeline])), printed);
  });

  it('workers: one copy of the data, whoever reads it', () => {
    const printed = String(run('workers', ['3', '4']));
    const [, rss, pss] = /^3 workers found 4194304 of 4194304 bytes\nsum of RSS: (\S+) copies, sum of PSS: (\S+) copies\n$/
      .exec(printed)!;
    assert.ok(Number(rss) >= 4, printed);
    // Beside the data: the tables of the pools, of which each process has its own.
    assert.ok(Number(pss) >= 1 && Number(pss) < 1.9, printed);
  });

  it('each says in its first lines how it is run', () => {
    const programs = readdirSync(path.join(root, 'examples')).filter((file) => file.endsWith('.mts'));
    for (const name of programs.map((file) => path.basename(file, '.mts'))) {
      if (name === 'cgi-worker') continue; // Started by a server: test/cgi/workers.test.ts.
      assert.match(here, new RegExp(`(run|start)\\('${name}'`), 'and is run here');
      const text = readFileSync(program(name), 'utf8');
      assert.match(text, new RegExp(`^// .*\n//\n//   node --import=tsx examples/${name}.mts`));
    }
  });
});
