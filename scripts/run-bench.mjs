// Runs the micro-benchmarks bench/micro/*.bench.{mjs,ts}, each in a process of its own: `npm run bench`.
// Options are passed on to each. `npm run bench:http` compares whole servers.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..');
const folder = path.join(root, 'bench/micro');
const options = process.argv.slice(2);
const names = existsSync(folder)
  ? readdirSync(folder).filter((name) => /\.bench\.(mjs|ts)$/.test(name)).sort()
  : [];
if (names.length === 0) console.log('There is no micro-benchmark yet; see npm run bench:http.');
for (const name of names) {
  console.log(`\n== ${name}`);
  const args = ['--expose-gc', '--import=tsx', path.join(folder, name), ...options];
  if (spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' }).status !== 0) process.exitCode = 1;
}
