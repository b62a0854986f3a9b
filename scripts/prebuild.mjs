// Puts prebuilds/linux-ARCH/io-lite.glibc.node in place with prebuildify: `npm run prebuildify`.
// --arch=arm64 cross-builds (CC, CXX, AR and PREBUILD_STRIP_BIN must name the cross tools; HACKING.md).
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch as hostArch } from 'node:process';
import path from 'node:path';
import { parseArgs } from 'node:util';

const root = path.join(import.meta.dirname, '..');
const { values } = parseArgs({ options: { arch: { type: 'string', default: hostArch } } });
const output = path.join(root, 'prebuilds', `linux-${values.arch}`);
const built = path.join(root, 'build/Release/io-lite.node');

rmSync(output, { recursive: true, force: true });
const prebuildify = createRequire(import.meta.url).resolve('prebuildify/bin.js');
const { status } = spawnSync(
  process.execPath,
  [
    prebuildify, '--napi', '--strip', '--tag-libc', '--name', 'io-lite', '--arch', values.arch,
    '--node-gyp', path.join(import.meta.dirname, 'prebuild-node-gyp.mjs'),
  ],
  { cwd: root, stdio: 'inherit' },
);
if (status !== 0) process.exit(status ?? 1);

const loadable = readdirSync(output).filter((name) => name.endsWith('.node'));
if (loadable.length !== 1) throw new Error(`one .node expected in ${output}, found ${loadable}`);
// prebuildify moves the addon; the clone goes on with a copy of its own.
if (values.arch === hostArch) copyFileSync(path.join(output, loadable[0]), built);
// The launcher lies beside the addon.
const launcher = path.join(output, 'io-lite-launcher');
copyFileSync(path.join(root, 'build/Release/io-lite-launcher'), launcher);
const strip = spawnSync(process.env.PREBUILD_STRIP_BIN ?? 'strip', [launcher], { stdio: 'inherit' });
if (strip.status !== 0) process.exit(strip.status ?? 1);
chmodSync(launcher, 0o755);
console.log(`prebuilt ${path.relative(root, path.join(output, loadable[0]))}`);
