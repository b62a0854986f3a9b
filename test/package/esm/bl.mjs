// Code as it is written for bl's ES module: a default export that is the stream, and the names.
import assert from 'node:assert/strict';
import DefaultList, { BufferList, BufferListStream, isBufferList } from 'io-lite/bl';

assert.equal(DefaultList, BufferListStream);
const list = new BufferList('abcdef');
list.consume(2);
assert.equal(String(list.slice()), 'cdef');
assert.ok(isBufferList(list) && isBufferList(new DefaultList()));
