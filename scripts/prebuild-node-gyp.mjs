#!/usr/bin/env node
// The node-gyp that prebuildify calls with `rebuild --target=… --arch=…`. It builds only what has
// changed (a rebuild would throw build/ away), and with the headers of the running Node: one
// N-API binary serves every version.
import { copyFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { runNodeGyp } from './node-gyp.mjs';

const arch = process.argv.find((option) => option.startsWith('--arch='))?.split('=')[1];
const isCross = arch !== undefined && arch !== process.arch;
const commands = isCross ? ['rebuild', `--arch=${arch}`] : ['configure', 'build'];
const status = runNodeGyp(commands);
if (status === 0) {
  // Why a copy: gyp's result is a hard link, and `strip` would write into a file that may be mapped.
  const release = path.join(import.meta.dirname, '../build/Release');
  rmSync(path.join(release, 'io-lite.node'), { force: true });
  copyFileSync(path.join(release, 'obj.target/io-lite.node'), path.join(release, 'io-lite.node'));
}
process.exitCode = status;
