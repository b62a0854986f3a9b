// Answers that Flash-Lite's server repeats by itself: whatever they depend on ends them.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import zlib from 'node:zlib';

import { get, getStatus, type Answer } from './support/client';
import { ready, runFlashLite, stop, stopPrograms, until, type Server } from './support/flash-lite';
import { Tree } from './support/tree';

const kText = 'a line that is repeated again and again\n'.repeat(200);

describe('Flash-Lite: repeated answers', () => {
  let tree: Tree;
  let server: Server;

  before(async () => {
    tree = new Tree({ 'www/a.txt': kText, 'www/b.bin': 'bytes', 'c.yaml': 'root: www\nstatus: true\n' });
    server = await ready(runFlashLite('--config', tree.path('c.yaml'), '--port', '0'));
  });
  after(async () => {
    await stop(server);
    await stopPrograms();
    tree.remove();
  });

  const repeated = async (): Promise<number> => (await getStatus(server)).http.repeated;
  /** Asks until the server has given an answer by itself, and gives that one. */
  const askRepeated = async (target: string, headers: Record<string, string> = {}): Promise<Answer> => {
    let answer: Answer | undefined;
    await until('a repeated answer', async () => {
      const before = await repeated();
      answer = await get(server, target, { headers });
      return await repeated() === before + 1;
    });
    return answer!;
  };

  it('are the same as those that are decided', async () => {
    const decided = await get(server, '/b.bin');
    const again = await askRepeated('/b.bin');
    assert.deepEqual(
      { ...again, headers: { ...again.headers, date: '' } },
      { ...decided, headers: { ...decided.headers, date: '' } });
  });

  it('fit the codings that a client takes, and what it has already', async () => {
    await until('the file to be compressed', async () => {
      const { headers } = await get(server, '/a.txt', { headers: { 'Accept-Encoding': 'gzip' } });
      return headers['content-encoding'] === 'gzip';
    });
    for (const round of [1, 2]) {
      const gzip = await askRepeated('/a.txt', { 'Accept-Encoding': 'gzip' });
      assert.equal(zlib.gunzipSync(gzip.body).toString(), kText, `round ${round}`);
      const plain = await askRepeated('/a.txt');
      assert.equal(plain.body.toString(), kText);
      const tags = { 'Accept-Encoding': 'gzip', 'If-None-Match': gzip.headers.etag! };
      assert.equal((await askRepeated('/a.txt', tags)).status, 304);
      assert.equal((await get(server, '/a.txt', { headers: { ...tags, 'If-None-Match': '"x"' } })).status, 200);
      const range = await get(server, '/a.txt', { headers: { Range: 'bytes=0-5' } });
      assert.deepEqual([range.status, range.body.toString()], [206, 'a line']);
    }
  });

  it('end when the file changes, when it goes, and with new settings', async () => {
    tree.write('www/c.txt', 'first');
    assert.equal((await askRepeated('/c.txt')).body.toString(), 'first');
    tree.write('www/c.txt', 'other bytes');
    await until('the new bytes', async () => (await get(server, '/c.txt')).body.toString() === 'other bytes');
    await askRepeated('/c.txt');
    tree.write('c.yaml', 'root: www\nstatus: true\nheader: ["X-New: yes"]\n');
    server.program.child.kill('SIGHUP');
    await until('the new settings', async () => (await get(server, '/c.txt')).headers['x-new'] === 'yes');
    assert.equal((await askRepeated('/c.txt')).headers['x-new'], 'yes');
    rmSync(tree.path('www/c.txt'));
    await until('the end', async () => (await get(server, '/c.txt')).status === 404);
  });
});
