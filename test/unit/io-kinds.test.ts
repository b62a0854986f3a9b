// The verbs on every kind of descriptor with two ends: one contract (test/support/descriptor-contract.ts), many kinds.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, Socket, type ListenOptions } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { iolRead } from 'io-lite';

import { checkDescriptors, type Ends } from '../support/descriptor-contract';
import { openFifo } from '../support/fifo';

interface Kind extends Ends {
  /** No more is written. */
  end(): void;
  close(): void;
}

let folder: string;
let names = 0;
const newName = (): string => path.join(folder, `name-${names++}`);

function fifo(): Kind {
  const { reader, writer } = openFifo(newName());
  return { reader, writer, end: () => closeSync(writer), close: () => closeSync(reader) };
}

const fdOf = (socket: Socket): number => (socket as unknown as { _handle: { fd: number } })._handle.fd;

/** Both ends are Node's, paused before they read a byte: their descriptors are the library's to read. */
async function connection(where: ListenOptions): Promise<Kind> {
  const server = createServer({ pauseOnConnect: true }).listen(where);
  await once(server, 'listening');
  const near = new Socket();
  near.pause();
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  near.connect(where.path === undefined ? (server.address() as { port: number }) : { path: where.path });
  const [[far]] = await Promise.all([accepted, once(near, 'connect')]);
  return {
    reader: fdOf(far),
    writer: fdOf(near),
    end: () => near.end(),
    close: () => {
      near.destroy();
      far.destroy();
      server.close();
    },
  };
}

const kinds: Record<string, () => Kind | Promise<Kind>> = {
  'a FIFO': fifo,
  'a TCP connection': () => connection({ port: 0, host: '127.0.0.1' }),
  'a Unix socket': () => connection({ path: newName() }),
};

const root = path.join(__dirname, '..', '..');
const contract = path.join(root, 'test', 'support', 'descriptor-contract.ts');

/** Makes a terminal, and then is the program that is given its master and its slave, in that order or the other. */
const python = `
import os, pty, sys, tty
master, slave = pty.openpty()
tty.setraw(slave)
ends = [master, slave] if sys.argv[1] == 'up' else [slave, master]
for end in ends: os.set_inheritable(end, True)
os.execv(sys.argv[2], sys.argv[2:] + [str(end) for end in ends])
`;

describe('the verbs, both forms, with signals, on', function () {
  this.timeout(60_000);
  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'iol-kinds-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  for (const [name, open] of Object.entries(kinds)) {
    it(name, async () => {
      const kind = await open();
      await checkDescriptors(kind);
      kind.end();
      assert.equal(await iolRead(kind.reader, 1), null);
      assert.equal(await iolRead(kind.reader, 1), null, 'and again');
      kind.close();
    });
  }

  for (const [name, direction] of [['what is typed at a terminal', 'down'], ['what a terminal shows', 'up']] as const) {
    it(name, function () {
      const command = ['-c', python, direction, process.execPath, '--import=tsx', contract];
      const ran = spawnSync('python3', command, { cwd: root, encoding: 'utf8' });
      if (ran.error !== undefined) this.skip(); // There is no python3.
      assert.equal(ran.status, 0, ran.stderr);
    });
  }

  it('a pipe between two programs, as 0 and 1', () => {
    const echo = `
      const { iolReadSync, iolWriteSync } = require('io-lite');
      for (let bytes; (bytes = iolReadSync(0, 70_000)) !== null; bytes.dispose()) iolWriteSync(1, bytes);`;
    const command = 'seq 1 50000 | "$0" -e "$1" | "$0" -e "$1" | cksum';
    const ran = spawnSync('sh', ['-c', command, process.execPath, echo], { cwd: root, encoding: 'utf8' });
    assert.equal(ran.stdout, execFileSync('sh', ['-c', 'seq 1 50000 | cksum'], { encoding: 'utf8' }), ran.stderr);
  });

  it('what is waited for on this thread, whatever signals come meanwhile', async () => {
    const child = spawn(process.execPath, ['-e', `
      const { iolReadSync } = require('io-lite');
      process.on('SIGUSR2', () => {});
      console.log('ready');
      console.log(String(iolReadSync(3, 100)));`], { cwd: root, stdio: ['ignore', 'pipe', 'inherit', 'pipe'] });
    let output = '';
    child.stdout!.setEncoding('latin1').on('data', (text: string) => (output += text));
    await once(child.stdout!, 'data');
    const status = (): string => readFileSync(`/proc/${child.pid}/status`, 'latin1');
    const sleeps = (): number => Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status())![1]);
    for (let signals = 0; signals < 20; signals++) {
      while (!/^State:\s+S/m.test(status())) await new Promise(setImmediate);
      const before = sleeps();
      child.kill('SIGUSR2');
      while (sleeps() === before) await new Promise(setImmediate); // It woke, and sleeps again.
    }
    (child.stdio[3] as Socket).write('at last');
    await once(child, 'close');
    assert.equal(output, 'ready\nat last\n');
  });
});
