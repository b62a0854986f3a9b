// The ESM facade hands on the CommonJS build's own objects: same names, same identities.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import * as http from 'io-lite/http';
import * as main from 'io-lite';

const require = createRequire(import.meta.url);
for (const [name, imported] of [['io-lite', main], ['io-lite/http', http]]) {
  const required = require(name);
  assert.deepEqual(Object.keys(imported).sort(), Object.keys(required).sort(), name);
  for (const key of Object.keys(required)) assert.equal(imported[key], required[key], `${name}: ${key}`);
}
