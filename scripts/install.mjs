// The package's install script. With a prebuild that loads there is nothing to do, and when install
// scripts are blocked nothing is lost. In a clone `prepare` builds, so this does nothing there.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { runNodeGyp } from './node-gyp.mjs';

const root = path.join(import.meta.dirname, '..');

function loads() {
  try {
    createRequire(import.meta.url)('node-gyp-build')(root);
    return true;
  } catch {
    return false;
  }
}

const isClone = existsSync(path.join(root, 'tsconfig.build.json'));
const wantsBuild = process.env.npm_config_build_from_source === 'true';
if (!isClone && (wantsBuild || !loads())) process.exitCode = runNodeGyp(['rebuild']);
