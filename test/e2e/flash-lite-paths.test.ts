// Nothing outside the root, nothing hidden: by spelling, by symbolic link, by kind of file.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, renameSync, symlinkSync, unlinkSync } from 'node:fs';
import path from 'node:path';

import { get, getRaw, statusOf } from './support/client';
import { start, stop, stopPrograms, until, type Server } from './support/flash-lite';
import { Tree } from './support/tree';

describe('Flash-Lite: nothing but what is below the root', () => {
  const kSecret = 'the secret outside';
  let tree: Tree;
  let server: Server;

  before(async () => {
    tree = new Tree({
      'secret.txt': kSecret, 'rootkit/secret.txt': kSecret, 'root/a.txt': 'a', 'root/sub/b.txt': 'b',
      'root/.env': kSecret, 'root/.git/config': kSecret, 'root/sub/.hidden/x.txt': kSecret,
      'root/back\\slash.txt': kSecret, 'root/..dots.txt': kSecret, 'root/other/c.txt': 'c',
    });
    const link = (target: string, name: string): void => symlinkSync(target, tree.path(`root/${name}`));
    link('../secret.txt', 'out.txt');
    link('..', 'up');
    link('../rootkit', 'sibling');
    link(tree.path('secret.txt'), 'absolute.txt');
    link('.env', 'env.txt');
    link('loop', 'loop');
    link('missing', 'dangling.txt');
    link('sub/b.txt', 'in.txt');
    link('sub', 'in');
    link('/dev/zero', 'zero');
    server = await start(tree.path('root'), '--listing');
  });

  after(async () => {
    await stop(server);
    await stopPrograms();
    tree.remove();
  });

  it('a link that is moved out and back all the time never shows what is outside', async () => {
    // Many names, since what one means may be remembered for a second; and until both sides of the link were
    // met, since the other process starts when it starts.
    const names = Array.from({ length: 200 }, (_, k) => `${k}.txt`);
    for (const name of names) {
      tree.write(`root/open/${name}`, 'a');
      tree.write(`outside/${name}`, kSecret);
    }
    symlinkSync('open', tree.path('root/flip'));
    symlinkSync('../outside', tree.path('root/.flip'));
    // Python because Node has no renameat2, which exchanges two links at once and often enough.
    const flip = `if True:
      import ctypes
      rename = ctypes.CDLL(None).renameat2
      while True: rename(-100, b'flip', -100, b'.flip', 2)`;
    const child = spawn('python3', ['-c', flip], { cwd: tree.path('root'), stdio: 'ignore' });
    try {
      const seen = new Set<string>();
      while (!seen.has('200 a') || !seen.has('404')) {
        for (const name of names) {
          const { status, body } = await get(server, `/flip/${name}`);
          seen.add(status === 200 ? `200 ${body.toString()}` : `${status}`);
        }
      }
      assert.deepEqual([...seen].sort(), ['200 a', '404']);
    } finally {
      child.kill('SIGKILL');
    }
  });

  describe('names of one dot', () => {
    const moved: [target: string, location: string][] = [
      ['/./a.txt', '/a.txt'], ['/sub/./b.txt?x=./y', '/sub/b.txt?x=./y'], ['/././sub/./', '/sub/'], ['/sub/.', '/sub/'],
      ['/.', '/'], ['/./', '/'], ['/./nothing', '/nothing'], ['/./100%25.txt', '/100%25.txt'],
    ];
    for (const [target, location] of moved) {
      it(`${target} leads to ${location}`, async () => {
        const text = await getRaw(server, target);
        assert.equal(statusOf(text), 301);
        assert.equal(/\r\nLocation: ([^\r]*)\r\n/.exec(text)?.[1], location);
      });
    }

    for (const target of ['/.//evil.example/', '/./../secret.txt', '/.././secret.txt', '/./.env', '/%2e/a.txt', '/sub/.%2f', '/./up/../a.txt']) {
      it(`${target} leads nowhere`, async () => {
        assert.ok([403, 404].includes(statusOf(await getRaw(server, target))));
      });
    }
  });

  describe('ways out of the root', () => {
    const traversals = [
      '/../secret.txt', '/sub/../../secret.txt', '/sub/../a.txt', '/a.txt/..', '/..', '/../',
      '/%2e%2e/secret.txt', '/%2E%2E/secret.txt', '/.%2e/secret.txt', '/%2e./secret.txt',
      '/sub/%2e%2e/%2e%2e/secret.txt', '/..%2fsecret.txt', '/..%2Fsecret.txt', '/%2e%2e%2fsecret.txt',
      '/sub%2f..%2f..%2fsecret.txt', '/sub%2fb.txt', '/..%5csecret.txt', '/..\\secret.txt',
      '/sub\\..\\..\\secret.txt', '/back\\slash.txt', '/back%5Cslash.txt', '/%252e%252e/secret.txt',
      '/..%252fsecret.txt', '//secret.txt', '//etc/passwd', '/sub//b.txt', '///', '/%2fetc/passwd',
      '/%2Fetc%2Fpasswd', '/.env', '/%2eenv', '/.git/config', '/.git/', '/sub/.hidden/x.txt', '/..dots.txt',
      '/.../a.txt', '/..;/secret.txt', '/sub/..;/..;/secret.txt', '/up/secret.txt',
      '/sibling/secret.txt', '/out.txt', '/absolute.txt', '/env.txt', '/loop', '/loop/x', '/dangling.txt',
      '/up', '/up/', '/sibling/', '/file:///etc/passwd', '/~root/',
    ];
    for (const target of traversals) {
      it(`${target} is 403 or 404`, async () => {
        const text = await getRaw(server, target);
        assert.ok([403, 404].includes(statusOf(text)), text);
        assert.ok(!text.includes(kSecret));
      });
    }

    const malformed = [
      '/%', '/%2', '/%zz', '/a%2', '/%00', '/a.txt%00.html', '/%00/../secret.txt', '/%c0%ae%c0%ae/x',
      '/%c0%af', '/%ff', '/%ed%a0%80', '/%f8%80%80%80%80', '/%u002e/', '/sub/%', '/a#b', 'a.txt',
      '../secret.txt', '/\xff', '/\x01',
    ];
    for (const target of malformed) {
      it(`${JSON.stringify(target)} is 400`, async () => {
        const text = await getRaw(server, target);
        assert.equal(statusOf(text), 400, text);
      });
    }

    it('a device is refused', async () => {
      assert.ok([403, 404].includes(statusOf(await getRaw(server, '/zero'))));
    });

    it('a pipe is refused and does not hold the server up', async function () {
      const made = spawnSync('mkfifo', [tree.path('root/pipe')]);
      if (made.status !== 0) this.skip();  // There is no mkfifo here.
      assert.equal(statusOf(await getRaw(server, '/pipe')), 403);
      assert.equal((await get(server, '/a.txt')).body.toString(), 'a');
    });
  });

  describe('symbolic links below the root', () => {
    it('are followed', async () => {
      assert.equal((await get(server, '/in.txt')).body.toString(), 'b');
      assert.equal((await get(server, '/in/b.txt')).body.toString(), 'b');
      assert.equal((await get(server, '/in')).headers.location, '/in/');
    });

    const relink = (target: string, name: string): void => {
      symlinkSync(target, tree.path(`root/${name}.new`));
      renameSync(tree.path(`root/${name}.new`), tree.path(`root/${name}`));
    };

    it('that are moved to another file show that file', async () => {
      relink('a.txt', 'moving.txt');
      assert.equal((await get(server, '/moving.txt')).body.toString(), 'a');
      relink('other/c.txt', 'moving.txt');
      await until('the other file', async () => (await get(server, '/moving.txt')).body.toString() === 'c');
    });

    it('that are moved out of the root are refused', async () => {
      relink('a.txt', 'leaving.txt');
      assert.equal((await get(server, '/leaving.txt')).body.toString(), 'a');
      relink('../secret.txt', 'leaving.txt');
      await until('the refusal', async () => {
        const answer = await get(server, '/leaving.txt');
        assert.ok(!answer.body.includes(kSecret));
        return answer.status === 404;
      });
      unlinkSync(tree.path('root/leaving.txt'));
    });

    it('may be the root itself, and move', async () => {
      mkdirSync(tree.path('releases'), { recursive: true });
      for (const name of ['1', '2']) tree.write(`releases/${name}/v.txt`, name);
      symlinkSync('releases/1', tree.path('current'));
      const other = await start(tree.path('current'));
      assert.equal(other.root, tree.path('current'));
      assert.equal((await get(other, '/v.txt')).body.toString(), '1');
      symlinkSync('releases/2', tree.path('current.new'));
      renameSync(tree.path('current.new'), path.join(tree.root, 'current'));
      await until('the second release', async () => (await get(other, '/v.txt')).body.toString() === '2');
      await stop(other);
    });
  });
});
