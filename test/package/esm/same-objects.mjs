// The ESM facade hands on the CommonJS build's own objects: same names, same identities.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import * as bl from 'io-lite/bl';
import * as http from 'io-lite/http';
import * as main from 'io-lite';
import * as files from 'io-lite/static';

const require = createRequire(import.meta.url);
for (const [name, imported] of [['io-lite', main], ['io-lite/bl', bl], ['io-lite/http', http], ['io-lite/static', files]]) {
  const required = require(name);
  // The class that require('io-lite/bl') gives has one of the names as a method, which is not enumerable.
  const names = Object.keys(imported);
  assert.deepEqual(Object.keys(required).filter((key) => !names.includes(key)), [], name);
  for (const key of names) assert.equal(imported[key], required[key], `${name}: ${key}`);
}
