import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { Aggregate, FileCache, IolError, isIolError, version, Window } from 'io-lite';

import { runChild } from '../support/child';

const root = path.join(__dirname, '..', '..');

describe('IolError', () => {
  it('has a code, a brand that another copy of the library knows, and a stack from the caller', () => {
    const released = Aggregate.from('x');
    released.dispose();
    function theCaller(): void {
      released.toString();
    }
    assert.throws(theCaller, (error: unknown) => {
      assert.ok(isIolError(error) && error instanceof IolError && error instanceof Error);
      assert.equal(error.code, 'ERR_IOL_CLOSED');
      assert.equal(error.name, 'IolError');
      assert.match(error.message, /^The aggregate is closed/);
      assert.match(error.stack!, /theCaller/);
      assert.deepEqual(Object.keys(error), ['code'], 'and nothing that does not apply');
      return true;
    });
    const foreign = Object.assign(new Error('of another copy'), { [Symbol.for('io-lite.error')]: true });
    assert.ok(isIolError(foreign));
    for (const other of [new Error('x'), null, undefined, 'ERR_IOL_CLOSED', 5]) {
      assert.equal(isIolError(other), false);
    }
  });

  it('of the native side begins its stack at the caller, too', () => {
    function theCaller(): void {
      Window.default().defaultPool.allocate(2 ** 40);
    }
    assert.throws(theCaller, (error: Error) => {
      assert.match(error.stack!.split('\n')[1]!, /allocate/);
      assert.match(error.stack!.split('\n')[2]!, /theCaller/);
      return true;
    });
  });

  it('of the system has errno, syscall and path like those of Node', async () => {
    const missing = path.join(root, 'no such file');
    await assert.rejects(FileCache.default().open(missing), (error: unknown) => {
      assert.ok(isIolError(error));
      assert.equal(error.code, 'ERR_IOL_SYSTEM');
      assert.equal(error.errno, -2);
      assert.equal(error.path, missing);
      assert.equal(typeof error.syscall, 'string');
      assert.match(error.message, /^ENOENT: no such file or directory, /);
      return true;
    });
    await assert.rejects(FileCache.default().open(root), { code: 'ERR_IOL_SYSTEM', errno: -21 });
    await assert.rejects(FileCache.default().open('/dev/null'), { code: 'ERR_IOL_NOT_REGULAR' });
  });

  it('ERR_IOL_TOO_MANY_SLICES leaves the aggregate as it was', () => {
    using piece = Aggregate.from(Buffer.alloc(4096)); // Larger than what is joined by a copy.
    using many = Aggregate.from(piece);
    while (many.sliceCount < 1 << 24) many.append(many);
    assert.throws(() => many.append(piece), { code: 'ERR_IOL_TOO_MANY_SLICES', message: /16777216/ });
    assert.equal(many.byteLength, 4096 * (1 << 24));
  }).timeout(60_000);
});

describe('loading', () => {
  /** A copy of the package that has no node_modules of its own, with one file changed. */
  function copyOfPackage(): string {
    const copy = mkdtempSync(path.join(tmpdir(), 'iol-copy-'));
    for (const name of ['dist', 'package.json']) cpSync(path.join(root, name), path.join(copy, name), { recursive: true });
    cpSync(path.join(root, 'build', 'Release', 'io-lite.node'), path.join(copy, 'build', 'Release', 'io-lite.node'));
    symlinkSync(path.join(root, 'node_modules'), path.join(copy, 'node_modules'));
    return copy;
  }
  const loadFrom = (copy: string): string =>
    `try { require(${JSON.stringify(copy)}); console.log('loaded'); }
     catch (error) { console.log(error.code, error.message); }`;

  it('refuses an addon of another version, and names both', async () => {
    const copy = copyOfPackage();
    try {
      const file = path.join(copy, 'package.json');
      const description = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
      writeFileSync(file, JSON.stringify({ ...description, version: '99.1.2' }));
      const { stdout } = await runChild(loadFrom(copy));
      assert.match(stdout, /^ERR_IOL_ADDON_MISMATCH /);
      assert.ok(stdout.includes('99.1.2') && stdout.includes(version), stdout);
    } finally {
      rmSync(copy, { recursive: true });
    }
  });

  it('says what to do when there is no addon', async () => {
    const copy = copyOfPackage();
    try {
      rmSync(path.join(copy, 'build'), { recursive: true });
      const { stdout } = await runChild(loadFrom(copy));
      assert.match(stdout, /^ERR_IOL_ADDON_NOT_FOUND [^]*npm rebuild io-lite/);
    } finally {
      rmSync(copy, { recursive: true });
    }
  });

  it('while a global const called window is made of it, as by node -e and by the prompt', async () => {
    const source = "const window = require('io-lite').Window.default(); console.log(window.isClosed);";
    const { stdout, stderr } = await runChild(source);
    assert.equal(stdout, 'false\n', stderr);
    const prompt = spawnSync(process.execPath, ['-i'], { cwd: root, input: `${source}\n`, encoding: 'utf8' });
    assert.match(prompt.stdout, /false\n/, prompt.stderr);
  });

  for (const [what, lie] of [
    ['platform', "Object.defineProperty(process, 'platform', { value: 'darwin' });"],
    ['architecture', "Object.defineProperty(process, 'arch', { value: 'ia32' });"],
    ['kernel', "require('os').release = () => '5.4.0-generic';"],
  ]) {
    it(`says what is supported on another ${what}`, async () => {
      const { stdout } = await runChild(`${lie} ${loadFrom(root)}`);
      assert.match(stdout, /^ERR_IOL_UNSUPPORTED io-lite supports Linux .*5\.10/);
      assert.match(stdout, new RegExp(`this is ${what}`));
    });
  }

  it('twice in one thread, by two copies of the TypeScript, is one library', async () => {
    const copy = mkdtempSync(path.join(tmpdir(), 'iol-copy-'));
    try {
      for (const name of ['dist', 'package.json']) cpSync(path.join(root, name), path.join(copy, name), { recursive: true });
      symlinkSync(path.join(root, 'build'), path.join(copy, 'build'));
      symlinkSync(path.join(root, 'node_modules'), path.join(copy, 'node_modules'));
      const { stdout, stderr } = await runChild(`
        const first = require('io-lite');
        const second = require(${JSON.stringify(copy)});
        const a = first.Aggregate.from('one');
        const b = second.Aggregate.from('two');
        console.log(a.toString(), b.toString(), first.Window.default().id === second.Window.default().id);
        try { first.Aggregate.from(b); } catch (error) { console.log(error.code); }
      `);
      assert.equal(stdout, 'one two true\nERR_INVALID_ARG_TYPE\n', stderr);
    } finally {
      rmSync(copy, { recursive: true });
    }
  });
});
