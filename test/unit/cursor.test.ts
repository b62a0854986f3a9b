import assert from 'node:assert/strict';

import { Aggregate } from 'io-lite';

import { checkHolds, copiesDuring } from '../support/holds';

describe('Cursor', () => {
  checkHolds();

  it('reads a message of numbers, text and bytes, whatever the borders of its slices', () => {
    const message = Buffer.alloc(64);
    let at = message.writeUInt32BE(0xcafebabe, 0);
    at = message.writeInt16LE(-2, at);
    at = message.writeDoubleLE(Math.PI, at);
    at = message.writeBigUInt64BE(2n ** 63n + 1n, at);
    at = message.writeUIntBE(0x123456, at, 3);
    at += message.write('€uro', at);
    for (const step of [1, 2, 3, 5, 64]) {
      const parts: Buffer[] = [];
      for (let i = 0; i < at; i += step) parts.push(message.subarray(i, Math.min(at, i + step)));
      using aggregate = Aggregate.from(parts);
      const cursor = aggregate.cursor();
      assert.equal(cursor.readUInt32BE(), 0xcafebabe);
      assert.equal(cursor.readInt16LE(), -2);
      assert.equal(cursor.readDoubleLE(), Math.PI);
      assert.equal(cursor.readBigUInt64BE(), 2n ** 63n + 1n);
      assert.equal(cursor.readUIntBE(3), 0x123456);
      assert.equal(cursor.remaining, 6);
      assert.equal(cursor.readString(6), '€uro');
      assert.equal(cursor.remaining, 0);
      assert.equal(cursor.position, at);
    }
  });

  it('says where it is and how many bytes are left when they are too few', () => {
    using aggregate = Aggregate.from('abc', 'de');
    const cursor = aggregate.cursor(3);
    const message = 'The value of "position" is out of range. It must be followed by 4 bytes, of which there are 2. Received 3';
    for (const read of [() => cursor.readUInt32LE(), () => cursor.readIntBE(4), () => cursor.readFloatLE()]) {
      assert.throws(read, { name: 'RangeError', code: 'ERR_OUT_OF_RANGE', message });
    }
    aggregate.truncate(1);
    assert.throws(() => cursor.readUInt8(), /followed by 1 bytes, of which there are 0. Received 3/);
  });

  it('is never at -0', () => {
    using aggregate = Aggregate.from('abc');
    const cursor = aggregate.cursor(-0);
    assert.ok(Object.is(cursor.position, 0));
    cursor.position = -0;
    assert.ok(Object.is(cursor.position, 0));
  });

  it('stays where it is when there are too few bytes', () => {
    using aggregate = Aggregate.from('abc', 'de');
    const cursor = aggregate.cursor(2);
    for (const read of [
      () => cursor.readUInt32LE(), () => cursor.readIntLE(4), () => cursor.skip(4),
      () => cursor.slice(4), () => cursor.readString(4), () => cursor.readBigInt64BE(),
    ]) {
      assert.throws(read, { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
      assert.equal(cursor.position, 2);
    }
    assert.equal(cursor.readUInt16BE(), 0x6364);
  });

  it('takes bytes by reference, and copies what it is told to', () => {
    using aggregate = Aggregate.from('header', 'body and', ' tail');
    const cursor = aggregate.cursor();
    assert.equal(cursor.skipIf('body'), false);
    assert.equal(cursor.skipIf('header'), true);
    const encoded = aggregate.cursor();
    assert.equal(encoded.skipIf('a G V h', 'base64'), true);
    assert.equal(encoded.skipIf('646z', 'hex'), true);
    assert.equal(encoded.position, 4, 'by the bytes, however the text is written');
    assert.deepEqual(copiesDuring(() => {
      using body = cursor.slice(10);
      assert.equal(body.byteLength, 10);
    }), {});
    const target = new Uint8Array(10);
    assert.equal(cursor.copyTo(target), 3);
    assert.equal(Buffer.from(target).toString('utf8', 0, 3), 'ail');
    assert.equal(cursor.copyTo(target), 0);
  });

  it('sees edits, and never more than there is', () => {
    using aggregate = Aggregate.from('0123456789');
    const cursor = aggregate.cursor(8);
    aggregate.truncate(4);
    assert.equal(cursor.remaining, 0);
    assert.throws(() => cursor.readUInt8(), { code: 'ERR_OUT_OF_RANGE' });
    aggregate.append('ABCDEFGH');
    assert.equal(cursor.readString(2), 'EF');
    cursor.position = 0;
    assert.equal(cursor.readString(4), '0123');
  });
});
