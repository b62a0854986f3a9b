// Runs the mocha suite on other Node versions, with the addon as it is built: one N-API binary.
//   test-versions.mjs [--short] [MAJOR…]     22 24 26 unless told otherwise
// --short leaves out what hardly depends on the version: programs and their tools, the files' shape.
// The binaries are the npm packages node-linux-ARCH, installed into a temporary folder.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  allowPositionals: true, options: { short: { type: 'boolean', default: false } },
});
const leftOut = values.short ? ['test/{bench,cgi,cli,e2e,torture}/**', 'test/*.test.ts'] : [];

const root = path.join(import.meta.dirname, '..');
const mocha = createRequire(import.meta.url).resolve('mocha/bin/mocha.js');
const place = mkdtempSync(path.join(tmpdir(), 'io-lite-versions-'));
// Tests start this Node as other users, too.
chmodSync(place, 0o755);
process.on('exit', () => rmSync(place, { recursive: true, force: true }));

const name = `node-linux-${process.arch}`;
const countLine = /^mocha: (\d+) passed, (\d+) failed, (\d+) skipped$/gm;
const total = { passed: 0, failed: 0, skipped: 0 };

function install(major) {
  const folder = path.join(place, major);
  mkdirSync(folder);
  writeFileSync(path.join(folder, 'package.json'), '{ "private": true }');
  const args = ['install', '--ignore-scripts', '--no-save', '--no-audit', '--no-fund', `${name}@${major}`];
  const { status } = spawnSync('npm', args, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  return status === 0 ? path.join(folder, 'node_modules', name, 'bin/node') : undefined;
}

function runMocha(node) {
  // Tests that start `node` by name must get the same one.
  const env = { ...process.env, PATH: `${path.dirname(node)}:${process.env.PATH}` };
  const options = { cwd: root, env, encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'inherit'] };
  const result = spawnSync(node, [mocha, ...leftOut.flatMap((spec) => ['--ignore', spec])], options);
  process.stdout.write(result.stdout);
  const last = [...result.stdout.matchAll(countLine)].at(-1);
  if (last === undefined) return undefined;
  const count = { passed: +last[1], failed: +last[2], skipped: +last[3] };
  if (result.status !== 0 && count.failed === 0) count.failed = 1;
  return count;
}

for (const major of positionals.length > 0 ? positionals : ['22', '24', '26']) {
  const node = install(major);
  const version = node && spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim();
  console.log(`\n== Node ${version ?? major}`);
  const count = node && runMocha(node);
  if (count === undefined) console.log(`Node ${major}: no count`);
  for (const key of Object.keys(total)) total[key] += count?.[key] ?? (key === 'failed' ? 1 : 0);
  if (node) rmSync(path.join(place, major), { recursive: true });
}
console.log(`versions: ${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed === 0 ? 0 : 1;
