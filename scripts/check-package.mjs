// Checks what is published: the packed tarball by its consumers, the prebuild's needs against the
// stated floor: glibc 2.34 and GCC 12's libstdc++ (Debian 12, Ubuntu 22.04). Older systems build
// from source. Linking libstdc++ statically is no way out: it asks for glibc 2.36.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..');
const floors = { GLIBC: [2, 34], GLIBCXX: [3, 4, 30], CXXABI: [1, 3, 13] };

const isAbove = (version, floor) => {
  const index = floor.findIndex((part, i) => (version[i] ?? 0) !== part);
  return index >= 0 && (version[index] ?? 0) > floor[index];
};

function tooNewSymbols(file) {
  const { stdout } = spawnSync('objdump', ['-T', file], { encoding: 'utf8' });
  const found = [...stdout.matchAll(/\((GLIBC|GLIBCXX|CXXABI)_([\d.]+)\)\s+(\S+)/g)];
  return found
    .filter(([, library, version]) => isAbove(version.split('.').map(Number), floors[library]))
    .map(([, library, version, symbol]) => `${symbol} needs ${library}_${version}`);
}

const packed = spawnSync(process.execPath, [path.join(root, 'scripts/pack-and-consume.mjs')], {
  cwd: root,
  stdio: 'inherit',
});
process.exitCode = packed.status ?? 1;
for (const folder of readdirSync(path.join(root, 'prebuilds'))) {
  const full = path.join(root, 'prebuilds', folder);
  for (const name of readdirSync(full)) {
    const problems = tooNewSymbols(path.join(full, name));
    for (const problem of problems) console.error(`prebuilds/${folder}/${name}: ${problem}`);
    if (problems.length > 0) process.exitCode = 1;
  }
}
