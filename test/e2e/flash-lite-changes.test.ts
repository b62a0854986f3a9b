// Files that change: what is sent is one version or cut, and a change is seen.
import assert from 'node:assert/strict';
import {
  appendFileSync, chmodSync, closeSync, openSync, renameSync, rmSync, truncateSync, unlinkSync, writeSync,
} from 'node:fs';

import { RawClient, get, type Answer } from './support/client';
import { start, stop, stopPrograms, until, type Server } from './support/flash-lite';
import { Tree, patterned } from './support/tree';

describe('Flash-Lite: files that change', () => {
  const kByteLength = 48 << 20;  // More than both socket buffers and the file cache hold.
  const versionA = patterned(kByteLength, 1);
  const versionB = patterned(kByteLength, 2);
  let tree: Tree;
  let server: Server;

  before(async () => {
    tree = new Tree({ 'a.txt': 'a' });
    server = await start(tree.root, '--cache-bytes', '16M');
  });

  after(async () => {
    assert.equal((await stop(server)).code, 0);
    await stopPrograms();
    tree.remove();
  });

  function overwrite(file: string, bytes: Buffer): void {
    const fd = openSync(file, 'r+');
    for (let offset = 0; offset < bytes.length;) {
      offset += writeSync(fd, bytes, offset, bytes.length - offset, offset);
    }
    closeSync(fd);
  }

  describe('a file that changes while it is sent to a slow reader', () => {
    const changes: [what: string, change: (file: string) => void][] = [
      ['truncated to nothing', (file) => truncateSync(file, 0)],
      ['truncated to a megabyte', (file) => truncateSync(file, 1 << 20)],
      ['truncated to an odd length', (file) => truncateSync(file, 20_000_001)],
      ['overwritten in place', (file) => overwrite(file, versionB)],
      ['truncated and written anew', (file) => { truncateSync(file, 0); overwrite(file, versionB); }],
      ['appended to', (file) => appendFileSync(file, 'more')],
      ['replaced by another', (file) => {
        tree.write('other.bin', versionB);
        renameSync(tree.path('other.bin'), file);
      }],
      ['unlinked', unlinkSync],
      ['made unreadable', (file) => chmodSync(file, 0)],
    ];
    for (const [what, change] of changes) {
      it(`${what}: the answer is whole or cut, never another version`, async () => {
        const file = tree.path('changing.bin');
        tree.write('changing.bin', versionA);
        const client = new RawClient(server);
        client.send('GET /changing.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
        await until('the first bytes', () => (client.split()?.body.length ?? 0) > 0);
        client.socket.pause();
        change(file);
        client.socket.resume();
        await client.closed();
        const { head, body } = client.split() as { head: string; body: Buffer };
        assert.match(head, new RegExp(`^HTTP/1\\.1 200 OK\r\n[^]*Content-Length: ${kByteLength}`));
        assert.ok(body.length <= kByteLength);
        assert.ok(body.equals(versionA.subarray(0, body.length)), 'bytes of another version');
        assert.equal((await get(server, '/a.txt')).body.toString(), 'a');
        rmSync(file, { force: true });
      });
    }
  });

  describe('a file that changes between requests', () => {
    const sees = (what: string, target: string, isNew: (answer: Answer) => boolean): Promise<void> =>
      until(what, async () => isNew(await get(server, target)));
    const isText = (text: string) => (answer: Answer) => answer.body.toString() === text;

    it('shows its new content, with another entity tag', async () => {
      tree.write('v.txt', 'one');
      const first = await get(server, '/v.txt');
      assert.equal(first.body.toString(), 'one');
      tree.write('v.txt', 'two');
      await sees('the new content', '/v.txt', isText('two'));
      const second = await get(server, '/v.txt', { headers: { 'If-None-Match': first.headers.etag } });
      assert.equal(second.status, 200);
    });

    it('is replaced, unlinked, and comes back', async () => {
      tree.write('w.txt', 'one');
      assert.equal((await get(server, '/w.txt')).body.toString(), 'one');
      tree.write('w.new', 'two');
      renameSync(tree.path('w.new'), tree.path('w.txt'));
      await sees('the replacement', '/w.txt', isText('two'));
      unlinkSync(tree.path('w.txt'));
      await sees('the absence', '/w.txt', ({ status }) => status === 404);
      tree.write('w.txt', 'three');
      await sees('the third file', '/w.txt', isText('three'));
    });

    it('becomes the index of a directory, and a directory becomes a file', async () => {
      tree.write('d/x.txt', 'x');
      assert.equal((await get(server, '/d/')).status, 404);
      tree.write('d/index.html', 'index');
      await sees('the index', '/d/', isText('index'));
      rmSync(tree.path('d'), { recursive: true });
      tree.write('d', 'file');
      await sees('the file', '/d', isText('file'));
      await sees('the refusal', '/d/', ({ status }) => status === 404);
    });

    it('never shows a mixture of two versions to many readers', async function () {
      this.timeout(60_000);
      const texts = ['1', '2', '3', '4'].map((digit) => digit.repeat(300_000));
      tree.write('mixed.txt', texts[0] as string);
      let isWriting = true;
      let wholeCount = 0;
      const write = async (): Promise<void> => {
        for (let round = 0; round < 40; round++) {
          tree.write('mixed.new', texts[round % texts.length] as string);
          renameSync(tree.path('mixed.new'), tree.path('mixed.txt'));
          await readOnce();
        }
        isWriting = false;
      };
      // A file that is replaced again and again while it is read may be refused, for a second.
      const readOnce = async (): Promise<void> => {
        const { status, body } = await get(server, '/mixed.txt');
        if (status === 503) return;
        assert.equal(status, 200);
        wholeCount++;
        assert.ok(texts.includes(body.toString()), 'a mixture');
      };
      const read = async (): Promise<void> => {
        while (isWriting) await readOnce();
      };
      await Promise.all([write(), read(), read(), read(), read()]);
      assert.ok(wholeCount > 0);
    });
  });
});
