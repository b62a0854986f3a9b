// Code as it was written for bl's CommonJS versions: the module is the class, with the names in it.
'use strict';

const assert = require('node:assert/strict');
const { Readable } = require('node:stream');
const BufferListStream = require('io-lite/bl');

const { BufferList } = BufferListStream;
assert.equal(BufferListStream.BufferListStream, BufferListStream);
assert.equal(BufferListStream.default, BufferListStream);

const list = new BufferList([Buffer.from('abc'), 'def']);
list.append(Buffer.from([0, 7]));
assert.equal(list.length, 8);
assert.equal(list.toString('ascii', 0, 6), 'abcdef');
assert.equal(list.readUInt16BE(6), 7);
assert.ok(BufferListStream.isBufferList(list));

Readable.from([Buffer.from('piped '), Buffer.from('in')]).pipe(
  new BufferListStream((error, bytes) => {
    assert.equal(error, null);
    assert.equal(String(bytes), 'piped in');
  }),
);
