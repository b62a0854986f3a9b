/**
 * Finds the addon (a build in the clone, else a prebuild), and refuses one that does not fit.
 * Imported by native.ts alone.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { release } from 'node:os';
import { dirname, join } from 'node:path';
import { compileFunction } from 'node:vm';

import type { ErrorCode } from './errors';

const root = join(__dirname, '..');

/** Made without errors.ts, which has nothing to work with before the addon is there. */
function loadError(code: ErrorCode, message: string, cause?: unknown): Error {
  return Object.assign(new Error(message, cause === undefined ? undefined : { cause }), { code });
}

function unsupportedReason(): string | undefined {
  if (process.platform !== 'linux') return `platform ${process.platform}`;
  if (process.arch !== 'x64' && process.arch !== 'arm64') return `architecture ${process.arch}`;
  const [major = 0, minor = 0] = release().split('.').map(Number);
  if (major < 5 || (major === 5 && minor < 10)) return `kernel ${release()}`;
  return undefined;
}

/** The C library, asked only when loading failed: the report costs milliseconds. */
function isGlibc(): boolean {
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } };
  return report?.header?.glibcVersionRuntime !== undefined;
}

const supported = 'io-lite supports Linux on x64 and arm64 with glibc and kernel 5.10 or later';

interface NodeGypBuild {
  (folder: string): { version?: () => string };
  path: (folder: string) => string;
}

function nodeGypBuild(): NodeGypBuild {
  try {
    // Why not an import: it loads as a side effect, and must only be asked here.
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    return require('node-gyp-build') as NodeGypBuild;
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    return nodeGypBuildWithoutWindow();
  }
}

// Why: it asks for `typeof window`, which throws while a global `const window = ...` is being made,
// as `node -e` and the prompt do when ours is what it is made of.
function nodeGypBuildWithoutWindow(): NodeGypBuild {
  const file = require.resolve('node-gyp-build/node-gyp-build.js');
  const made = { exports: {} };
  const source = readFileSync(file, 'utf8');
  const run = compileFunction(source, ['require', 'module', 'window']) as (...given: unknown[]) => void;
  run(createRequire(file), made, undefined);
  return made.exports as NodeGypBuild;
}

/** The launcher of programs, which lies beside the addon. */
export function launcherPath(): string {
  return join(dirname(nodeGypBuild().path(root)), 'io-lite-launcher');
}

/** Loads the addon for this environment. */
export function loadAddon(): unknown {
  const reason = unsupportedReason();
  if (reason !== undefined) {
    throw loadError('ERR_IOL_UNSUPPORTED', `${supported}; this is ${reason}`);
  }
  const load = nodeGypBuild();
  let addon;
  try {
    addon = load(root);
  } catch (error) {
    if (!isGlibc()) throw loadError('ERR_IOL_UNSUPPORTED', `${supported}; this is not glibc`, error);
    throw loadError(
      'ERR_IOL_ADDON_NOT_FOUND',
      `No build or prebuild of the io-lite addon could be loaded from ${root}: ` +
        `${(error as Error).message}. Run "npm rebuild io-lite", or allow its install script.`,
      error,
    );
  }
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    version: string;
  };
  const addonVersion = addon.version?.();
  if (addonVersion !== version) {
    throw loadError(
      'ERR_IOL_ADDON_MISMATCH',
      `The addon is version ${addonVersion ?? 'unknown'}, io-lite is version ${version}. ` +
        'Run "npm rebuild io-lite" or reinstall it.',
    );
  }
  return addon;
}
