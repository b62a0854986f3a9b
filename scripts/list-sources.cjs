// Prints the .cc files of the named floors, one a line: `list-sources.cjs base sys` (binding.gyp),
// or those of the native tests: `list-sources.cjs --tests`. A floor that is still empty is no error.
'use strict';

const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');

// Floors that know nothing of Node, lowest first. The order is the import law's (test/tidy.test.ts).
const coreFloors = [
  'base', 'sys', 'window', 'pool', 'aggregate', 'channel', 'cache', 'net', 'io', 'http', 'launcher',
];

function sourcesIn(folder) {
  const full = path.join(root, folder);
  if (!fs.existsSync(full)) return [];
  return fs
    .readdirSync(full)
    .filter((name) => name.endsWith('.cc'))
    .sort()
    .map((name) => `${folder}/${name}`);
}

function floorSources(floors) {
  // A main.cc is the program of its floor, and no part of it.
  return floors
    .flatMap((floor) => sourcesIn(`src-native/${floor}`))
    .filter((file) => !file.endsWith('/main.cc'));
}

// A file named *_tool.cc has a main of its own and is a program beside the tests.
function testSources() {
  return sourcesIn('test/native').filter((file) => !file.endsWith('_tool.cc'));
}

function toolSources() {
  return sourcesIn('test/native').filter((file) => file.endsWith('_tool.cc'));
}

// Programs of their own, too.
function exampleSources() {
  return sourcesIn('examples/native');
}

module.exports = { coreFloors, floorSources, testSources, toolSources, exampleSources, sourcesIn };

if (require.main === module) {
  const names = process.argv.slice(2);
  const files = names[0] === '--tests' ? testSources() : floorSources(names);
  console.log(files.join('\n'));
}
