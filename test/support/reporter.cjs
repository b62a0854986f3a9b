// Mocha's spec reporter plus one closing line, `mocha: N passed, N failed, N skipped`,
// which scripts/test.mjs adds up with the lines of the other runners.
'use strict';

const { reporters, Runner } = require('mocha');

module.exports = class CountingReporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    runner.once(Runner.constants.EVENT_RUN_END, () => {
      const { passes, failures, pending } = this.stats;
      console.log(`mocha: ${passes} passed, ${failures} failed, ${pending} skipped`);
    });
  }
};
