// Packs the library as it would be published and runs the small programs of test/package against
// the tarball: install scripts blocked, only the prebuild inside, nothing of the clone in reach.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..');
const require = createRequire(import.meta.url);
const place = mkdtempSync(path.join(tmpdir(), 'io-lite-package-'));
process.on('exit', () => rmSync(place, { recursive: true, force: true }));

function run(command, args, options = {}) {
  const env = { ...process.env, PREBUILDS_ONLY: '1' };
  const result = spawnSync(command, args, { cwd: place, env, encoding: 'utf8', ...options });
  if (result.status !== 0) {
    throw new Error(`${[command, ...args].join(' ')}\n${result.stdout ?? ''}${result.stderr ?? ''}`);
  }
  return result.stdout;
}

const node = (...args) => run(process.execPath, args);
const npm = (args, options) => run('npm', [...args, '--no-audit', '--no-fund'], options);

let passed = 0;
let failed = 0;
function check(title, body) {
  try {
    body();
    passed += 1;
    console.log(`  ok      ${title}`);
  } catch (error) {
    failed += 1;
    console.log(`  not ok  ${title}\n${error.message}`);
  }
}

function finish() {
  console.log(`package: ${passed} passed, ${failed} failed, 0 skipped`);
  process.exit(failed === 0 ? 0 : 1);
}

let contents = [];
check('npm pack makes a tarball, prebuild included', () => {
  const stdout = npm(['pack', '--json', '--pack-destination', place], { cwd: root });
  // Lifecycle scripts print above the report.
  const report = JSON.parse(stdout.slice(stdout.search(/^[[{]\s*$/m)));
  const [tarball] = Array.isArray(report) ? report : Object.values(report);
  contents = tarball.files.map((file) => file.path);
  const kib = (bytes) => `${Math.round(bytes / 1024)} KiB`;
  console.log(`  ${tarball.filename}: ${kib(tarball.size)}, unpacked ${kib(tarball.unpackedSize)}`);
  writeFileSync(path.join(place, 'package.json'), '{ "private": true }');
  npm(['install', '--ignore-scripts', '--prefer-offline', tarball.filename]);
});
if (failed > 0) finish();

check('it holds one addon for each platform, both entries, every exported file, and no tests', () => {
  const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  const leaves = (value) => (typeof value === 'string' ? [value] : Object.values(value).flatMap(leaves));
  const wanted = leaves(manifest.exports).map((file) => file.replace('./', ''));
  const missing = [...wanted, 'LICENSE', 'README.md'].filter((file) => !contents.includes(file));
  if (missing.length > 0) throw new Error(`missing: ${missing.join(', ')}`);
  const subpaths = Object.keys(manifest.exports).filter((name) => !/^\.$|json$/.test(name));
  const known = Object.keys(manifest.typesVersions['*']).map((name) => `./${name}`);
  if (String(subpaths) !== String(known)) throw new Error(`typesVersions has ${known}, exports ${subpaths}`);
  const stray = contents.filter((file) => /^(test|build|bench|lib|examples)\/|_tests?$|_tool$/.test(file));
  if (stray.length > 0) throw new Error(`does not belong there: ${stray.join(', ')}`);
  const addons = contents.filter((file) => /\.(node|so)(\.|$)/.test(file));
  const platforms = new Set(addons.map((file) => path.dirname(file)));
  if (!platforms.has(`prebuilds/linux-${process.arch}`) || addons.length !== platforms.size) {
    throw new Error(`one addon a platform expected, found ${addons.join(', ')}`);
  }
});

check('the launcher of programs lies beside the addon, and runs', () => {
  const folder = path.join(place, `node_modules/io-lite/prebuilds/linux-${process.arch}`);
  // Without its server it ends at once.
  run(path.join(folder, 'io-lite-launcher'), [], { stdio: ['ignore', 'ignore', 'ignore', 'ignore'] });
});

for (const name of ['esm', 'cjs', 'ts']) {
  cpSync(path.join(root, 'test/package', name), path.join(place, name), { recursive: true });
}
check('an ESM program runs', () => node('esm/main.mjs'));
check('a CommonJS program runs', () => node('cjs/main.cjs'));
check('code that was written for bl runs, by require and by import', () => {
  node('cjs/bl.cjs');
  node('esm/bl.mjs');
});
check('require and import give the same objects', () => node('esm/same-objects.mjs'));

const tsc = require.resolve('typescript/bin/tsc');
mkdirSync(path.join(place, 'node_modules/@types'), { recursive: true });
for (const name of ['@types/node', 'undici-types']) {
  symlinkSync(path.join(root, 'node_modules', name), path.join(place, 'node_modules', name));
}
check('a strict TypeScript program with `using` compiles as CommonJS and runs', () => {
  node(tsc, '-p', 'ts/tsconfig.json');
  node('ts/out/main.js');
});
check('the same compiles as an ES module and runs', () => {
  cpSync(path.join(place, 'ts/main.ts'), path.join(place, 'ts/module/main.mts'));
  node(tsc, '-p', 'ts/module/tsconfig.json');
  node('ts/module/out/main.mjs');
});
check('the same compiles with the module resolution of Node 10 and runs', () => {
  cpSync(path.join(place, 'ts/main.ts'), path.join(place, 'ts/node10/main.ts'));
  node(tsc, '-p', 'ts/node10/tsconfig.json');
  node('ts/node10/out/main.js');
});
check('with the addon taken away, loading says what is missing and where it looked', () => {
  rmSync(path.join(place, 'node_modules/io-lite/prebuilds'), { recursive: true });
  node('cjs/no-addon.cjs');
});
finish();
