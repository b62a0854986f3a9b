// A thread of its own, for the states that end everything in it: see rows-closed.ts.
require('tsx/cjs');
require('./rows-closed.ts');
