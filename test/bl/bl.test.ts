// What code that was written for `bl` relies on, and what is ours besides.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createReadStream, readFileSync } from 'node:fs';
import { PassThrough, Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { inspect } from 'node:util';

import { Aggregate, stats } from 'io-lite';
import { BufferList, BufferListStream, isBufferList } from 'io-lite/bl';

import { runChild } from '../support/child';
import { checkHolds, copiesDuring } from '../support/holds';

describe('io-lite/bl', () => {
  checkHolds();

  it('takes what bl takes: bytes, text, numbers, arrays of them, lists, nothing', () => {
    using list = new BufferList(['a', Buffer.from('b'), 12, [new Uint8Array([99])]]);
    using other = new BufferList('xyz');
    list.append(other).append(null).append(undefined).append('é');
    assert.equal(list.toString(), 'ab12cxyzé');
    list.prepend(['<', '>']);
    assert.equal(list.toString('utf8', 0, 4), '<>ab');
    assert.equal(list.length, 12);
    list.append(new Uint16Array([0x4241]) as unknown as Uint8Array);
    assert.equal(list.slice(-2).toString(), 'AB');
  });

  it('copies bytes as they come in: what happens to the array later does not matter', () => {
    const given = Buffer.from('before');
    using list = new BufferList(given);
    given.fill('x');
    assert.equal(list.toString(), 'before');
    const taken = list.slice();
    taken.fill('y');
    assert.equal(list.toString(), 'before');
  });

  it('shares what has its bytes in the window already', () => {
    using bytes = Aggregate.from('x'.repeat(10_000));
    assert.deepEqual(
      copiesDuring(() => {
        using list = new BufferList(bytes);
        using front = list.shallowSlice(0, 5_000);
        using twice = list.duplicate();
        twice.append(front);
        using back = twice.toAggregate();
        assert.equal(back.byteLength, 15_000);
        assert.equal(back.slices()[0]!.address, bytes.slices()[0]!.address);
        twice.consume(14_999);
        assert.equal(twice.length, 1);
        using consumed = back.slice(14_999);
        assert.equal(consumed.byteLength, 1);
        twice.dispose();
      }),
      {},
    );
  });

  it('shows how long it is and what it begins with, in logs and in JSON', () => {
    for (const Class of [BufferList, BufferListStream]) {
      const list = new Class(['abc', 'x'.repeat(100)]);
      assert.match(inspect(list), new RegExp(`^${Class.name} {\\s+byteLength: 103,[^]*<61 62 63 78 .* 53 more bytes>`));
      const { type, byteLength, preview } = list.toJSON();
      assert.deepEqual([type, byteLength, preview.slice(0, 8)], [Class.name, 103, '61626378']);
      assert.ok(JSON.stringify({ list }).includes(preview));
      list.dispose();
      assert.equal(inspect(list), `${Class.name} <released>`);
      assert.match(JSON.stringify(list), /"isDisposed":true/);
    }
  });

  it('finds bytes across borders, from a place, in an encoding', () => {
    using list = new BufferList(['abc', 'abd', 'abe']);
    assert.equal(list.indexOf('cab'), 2);
    assert.equal(list.indexOf('ab', 1), 3);
    assert.equal(list.indexOf('ab', -3), 6);
    assert.equal(list.indexOf('6264', 'hex'), 4);
    assert.equal(list.indexOf(101), 8);
    using needle = new BufferList('be');
    assert.equal(list.indexOf(needle), 7);
    assert.equal(list.indexOf(''), 0);
    assert.equal(list.indexOf('', 100), 9);
    assert.equal(list.indexOf('nope'), -1);
    assert.throws(() => list.indexOf((() => {}) as never), TypeError);
    assert.throws(() => list.indexOf([] as never), TypeError);
  });

  it('answers places outside without reading there', () => {
    using list = new BufferList('abc');
    assert.equal(list.get(3), undefined);
    assert.equal(list.get(-1), undefined);
    assert.equal(list.slice(2, 1).length, 0);
    assert.equal(list.slice(7).length, 0);
    assert.throws(() => list.readUInt32BE(0), RangeError);
    using empty = new BufferList();
    assert.equal(empty.get(0), undefined);
    assert.equal(empty.consume(5).length, 0);
    assert.equal(empty.consume(NaN).consume(-1).length, 0);
    assert.equal(empty.indexOf('a'), -1);
    using none = empty.shallowSlice(0, 0);
    assert.equal(none.toString(), '');
  });

  it('is known as a list, by itself and by bl, and each takes the other', async () => {
    const bl = await import('bl');
    using ours = new BufferList(['a', 'b']);
    const theirs = new bl.BufferList(['c', 'd']);
    assert.ok(isBufferList(ours) && BufferList.isBufferList(theirs) && bl.isBufferList(ours));
    assert.equal(isBufferList({}), false);
    assert.equal(isBufferList(null), false);
    assert.equal(new bl.BufferList(ours as never).append(theirs).toString(), 'abcd');
    assert.equal(ours.append(theirs).toString(), 'abcd');
    assert.deepEqual(ours.getBuffers().map(String).join(''), 'abcd');
  });

  it('is released by dispose, and each of its members refuses to be used afterwards', () => {
    const answering: unknown[] = ['constructor', 'dispose', 'toJSON', Symbol.dispose, inspect.custom];
    const given: Record<string, unknown[]> = {
      append: ['x'], prepend: ['x'], get: [0], copy: [Buffer.alloc(3)], consume: [1], indexOf: ['b'], readIntBE: [0, 2],
      readIntLE: [0, 2], readUIntBE: [0, 2], readUIntLE: [0, 2],
    };
    const names = Reflect.ownKeys(BufferList.prototype).filter((key) => !answering.includes(key) && !/^_/.test(String(key)));
    assert.ok(names.length > 25);
    for (const name of names) {
      const list = new BufferList('abcdefgh');
      const use = (): unknown => {
        const member = (list as never as Record<string | symbol, unknown>)[name];
        return typeof member === 'function' ? member.apply(list, given[String(name)] ?? []) : member;
      };
      const made = use();
      if (made !== list) (made as Partial<Disposable> | undefined)?.[Symbol.dispose]?.();
      list.dispose();
      list.dispose();
      assert.throws(use, { code: 'ERR_IOL_CLOSED' }, String(name));
    }
  });

  it('is given back by the collector without a word when nobody releases it', async () => {
    const result = await runChild(
      `
      const { BufferList } = require('io-lite/bl');
      const { stats } = require('io-lite');
      for (let i = 0; i < 1000; i++) new BufferList('x'.repeat(100)).shallowSlice(0, 10);
      const look = (turns) => {
        gc();
        if (stats().liveHolds > 0 && turns > 0) setImmediate(look, turns - 1);
        else console.log(stats().liveHolds, stats().leaks);
      };
      setImmediate(look, 1000);
    `,
      { nodeOptions: ['--expose-gc'] },
    );
    assert.equal(result.stdout, '0 0\n', result.stderr);
    assert.equal(result.stderr, '');
  });

  describe('BufferListStream', () => {
    it('collects what is piped into it, and calls back with all of it', async () => {
      const bytes = await new Promise<Buffer>((resolve, reject) => {
        const stream = new BufferListStream((error, all) => (error ? reject(error) : resolve(all!)));
        createReadStream(__filename, { highWaterMark: 1000 }).pipe(stream);
        stream.on('finish', () => process.nextTick(() => stream.dispose()));
      });
      assert.deepEqual(bytes, readFileSync(__filename));
      await new Promise((resolve) => setImmediate(resolve));
    });

    it('calls back once, with the error of its source', () => {
      const reason = new Error('broken');
      const errors: unknown[] = [];
      const stream = new BufferListStream((error) => errors.push(error));
      const source = new PassThrough();
      source.pipe(stream);
      source.emit('error', reason);
      stream.end();
      assert.deepEqual(errors, [reason]);
      stream.dispose();
    });

    it('gives back what was written to it, and is a list meanwhile', async () => {
      const stream = new BufferListStream('head ');
      stream.write('body');
      assert.equal(stream.toString(), 'head body');
      assert.equal(stream.indexOf('body'), 5);
      stream.consume(2);
      assert.ok(isBufferList(stream));
      const read: Buffer[] = [];
      stream.end();
      await pipeline(stream, new Writable({ write: (chunk: Buffer, _, done) => (read.push(chunk), done()) }));
      assert.equal(String(Buffer.concat(read)), 'ad body');
      assert.equal(stream.length, 0);
      stream.dispose();
    });

    it('has bytes to pipe on without a copy: as an aggregate', async () => {
      const stream = new BufferListStream();
      Readable.from([Buffer.from('ab'), Buffer.from('cd')]).pipe(stream);
      await once(stream, 'finish');
      using bytes = stream.toAggregate();
      assert.equal(bytes.toString(), 'abcd');
      stream.destroy();
      assert.equal(stream.length, 0);
      assert.ok(stats().liveHolds > 0);
      stream.dispose();
    });
  });
});
