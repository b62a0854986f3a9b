// Files that change: what is sent is one version or cut, and a change is seen.
import assert from 'node:assert/strict';
import {
  appendFileSync, chmodSync, closeSync, openSync, renameSync, rmSync, truncateSync, unlinkSync, writeSync,
} from 'node:fs';
import { gunzipSync } from 'node:zlib';

import { RawClient, get, getStatus, type Answer } from './support/client';
import { start, stop, stopPrograms, until, type Server } from './support/flash-lite';
import { rawAnswers } from './support/responses';
import { Tree, patterned } from './support/tree';

describe('Flash-Lite: files that change', () => {
  const kByteLength = 48 << 20;  // More than both socket buffers and the file cache hold.
  const versionA = patterned(kByteLength, 1);
  const versionB = patterned(kByteLength, 2);
  let tree: Tree;
  let server: Server;

  before(async () => {
    tree = new Tree({ 'a.txt': 'a' });
    server = await start(tree.root, '--cache-bytes', '16M', '--status');
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

  describe('a file that changes between answers that a slow reader has asked for', () => {
    const text = (version: number, byteLength: number): Buffer =>
      Buffer.from(Array.from({ length: byteLength / 6 + 1 }, (_, i) => 100_000 + i * version % 899_999).join('')).subarray(0, byteLength);
    const kinds: [what: string, byteLength: number, count: number, headers: string][] = [
      ['small', 1000, 3000, ''],
      ['of 100 KiB', 100 << 10, 60, ''],
      ['of 3 MiB', 3 << 20, 4, ''],
      ['ranges', 3 << 20, 40, 'Range: bytes=1000-200999\r\n'],
      ['compressed', 200_000, 80, 'Accept-Encoding: gzip\r\n'],
    ];
    const changes: [what: string, change: (file: string, other: Buffer) => void][] = [
      ['is overwritten', (file, other) => overwrite(file, other)],
      ['shrinks', (file) => truncateSync(file, 500)],
      ['grows', (file) => appendFileSync(file, 'more')],
      ['is replaced', (_, other) => {
        tree.write('other.txt', other);
        renameSync(tree.path('other.txt'), tree.path('slow.txt'));
      }],
      ['vanishes', unlinkSync],
    ];
    for (const [kind, byteLength, count, headers] of kinds) {
      for (const [what, change] of changes) {
        it(`${kind}, and ${what}: each answer is one version, or cut`, async () => {
          const first = text(1, byteLength);
          const other = text(2, byteLength);
          tree.write('slow.txt', first);
          const ask = `GET /slow.txt HTTP/1.1\r\nHost: x\r\n${headers}`;
          const isEncoded = headers.startsWith('Accept');
          if (isEncoded) {
            await until('the compressed form', async () =>
              (await get(server, '/slow.txt', { headers: { 'Accept-Encoding': 'gzip' } })).headers['content-encoding'] === 'gzip');
          }
          const client = new RawClient(server);
          client.socket.pause();
          client.send(`${ask}\r\n`.repeat(count - 1) + `${ask}Connection: close\r\n\r\n`);
          const blocked = async (): Promise<boolean> =>
            ((await getStatus(server)) as unknown as { http: { bytesQueued: number } }).http.bytesQueued > 0;
          await until('the socket to be full', blocked);
          change(tree.path('slow.txt'), other);
          client.socket.resume();
          const answers = rawAnswers(await client.closed());
          // What the file was at some moment.
          const versions = [first, other, first.subarray(0, 500), Buffer.concat([first, Buffer.from('more')])];
          const isOf = (bytes: Buffer, range: boolean): boolean => versions.some((version) => {
            const whole = range ? version.subarray(1000, 201_000) : version;
            return whole.equals(bytes);
          });
          const tags = new Map<string, Buffer>();
          for (const [index, { status, headers: received, body, isWhole }] of answers.entries()) {
            if (!isWhole) {
              assert.equal(index, answers.length - 1, 'only the last one is cut');
              continue;
            }
            if ([404, 416, 503].includes(status)) continue;
            assert.ok([200, 206].includes(status), String(status));
            const bytes = received['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
            assert.ok(isOf(bytes, status === 206), `answer ${index} is of no version`);
            const tag = received['etag'] as string;
            assert.ok(tags.get(tag)?.equals(body) ?? true, 'one tag is one row of bytes');
            tags.set(tag, body);
          }
          assert.ok(answers.length > 0 && answers[0]!.status < 300);
          rmSync(tree.path('slow.txt'), { force: true });
        });
      }
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
