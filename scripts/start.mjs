// npm start: builds what is missing or older than its source, then becomes Flash-Lite. The server
// runs in this very process, so that signals sent to npm reach it and its exit code is npm's.
//   npm start -- --root DIR --port N    (see npm start -- --help)
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..');
const require = createRequire(import.meta.url);
const flashLite = path.join(root, 'examples', 'flash-lite');
const main = path.join(flashLite, 'dist', 'main.js');

function isAddonMissing() {
  try {
    require('node-gyp-build').path(root);
    return false;
  } catch {
    return true;
  }
}

function isOlder(output, sourceFolder) {
  const built = statSync(output, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return readdirSync(sourceFolder)
    .filter((name) => name.endsWith('.ts'))
    .some((name) => statSync(path.join(sourceFolder, name)).mtimeMs > built);
}

// What the build prints goes to stderr: stdout is for the one line of the server.
function build(script) {
  const command = [path.join(root, 'scripts', script)];
  const { status, signal } = spawnSync(process.execPath, command, { cwd: root, stdio: [0, 2, 2] });
  if (status === 0) return;
  console.error(`npm start: ${script} failed (${signal ?? status})`);
  process.exit(1);
}

if (isAddonMissing()) build('build-native.mjs');
const library = path.join(root, 'dist', 'index.js');
if (isOlder(library, path.join(root, 'lib')) || isOlder(main, flashLite)) build('build-lib.mjs');

await require(main).main(process.argv.slice(2), path.join(root, 'docs'));
