// Compiles lib/ to dist/ (CommonJS and types), writes the ESM facade beside it, and compiles the
// Flash-Lite example, which finds the library in dist/ by its package name.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..');
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');

function run(...args) {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

run(tsc, '-p', 'tsconfig.build.json');
run(path.join(import.meta.dirname, 'write-esm-facade.mjs'));
run(tsc, '-p', 'examples/flash-lite/tsconfig.json');
