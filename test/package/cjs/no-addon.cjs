// Without a build or prebuild the error has a code and says what to do.
'use strict';

const assert = require('node:assert/strict');

assert.throws(
  () => require('io-lite'),
  (error) => error.code === 'ERR_IOL_ADDON_NOT_FOUND' && /npm rebuild/.test(error.message),
);
