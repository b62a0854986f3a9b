// Mocha's spec reporter plus one closing line, `mocha: N passed, N failed, N skipped`,
// which scripts/test.mjs adds up with the lines of the other runners.
'use strict';

const { reporters, Runner } = require('mocha');

// Something that a test left open would keep the process alive for ever: say what, and fail.
function endWhenKeptAlive() {
  setTimeout(() => {
    console.error(`still open after the last test: ${process.getActiveResourcesInfo().join(', ')}`);
    // Mocha's own exit handler, registered before, sets the number of failures.
    process.on('exit', () => {
      process.exitCode = 1;
    });
    process.exit();
  }, 15_000).unref();
}

module.exports = class CountingReporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    runner.once(Runner.constants.EVENT_RUN_END, () => {
      const { passes, failures, pending } = this.stats;
      console.log(`mocha: ${passes} passed, ${failures} failed, ${pending} skipped`);
      endWhenKeptAlive();
    });
  }
};
