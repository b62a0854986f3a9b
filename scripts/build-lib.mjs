// Compiles lib/ to dist/ (CommonJS and types) and writes the ESM facade beside it.
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
