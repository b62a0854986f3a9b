// Builds and runs the libFuzzer targets test/fuzz/NAME_fuzz.cc with clang++.
//   fuzz.mjs [--seconds=30] [NAME…]
// Each starts from its committed corpus test/fuzz/corpus/NAME; what it finds goes to build/fuzz/NAME.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import sources from './list-sources.cjs';
import { buildPrograms, chooseCompiler, coreSources, root } from './native-build.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string', default: '30' } },
});
const targets = new Map(
  sources
    .sourcesIn('test/fuzz')
    .filter((file) => file.endsWith('_fuzz.cc'))
    .map((file) => [path.basename(file, '_fuzz.cc'), file]),
);
const names = positionals.length > 0 ? positionals : [...targets.keys()];
const unknown = names.filter((name) => !targets.has(name));
if (unknown.length > 0 || names.length === 0) {
  console.error(`no such target: ${unknown.join(', ')}; there are: ${[...targets.keys()].join(', ')}`);
  process.exit(2);
}

const built = await buildPrograms({
  folder: 'build/native-fuzz',
  compiler: chooseCompiler(['clang++']),
  flags: [
    '-O1', '-g', '-DIOL_DEBUG', '-fsanitize=fuzzer,address,undefined',
    '-fno-sanitize-recover=undefined',
  ],
  programs: Object.fromEntries(names.map((name) => [name, [...coreSources(), targets.get(name)]])),
});

let passed = 0;
for (const name of names) {
  const found = path.join(root, 'build/fuzz', name);
  mkdirSync(found, { recursive: true });
  const corpus = path.join(root, 'test/fuzz/corpus', name);
  const args = [
    `-max_total_time=${values.seconds}`, '-print_final_stats=1', `-artifact_prefix=${found}/`,
    '-max_len=16384', found, ...(existsSync(corpus) ? [corpus] : []),
  ];
  if (spawnSync(built[name], args, { stdio: 'inherit' }).status === 0) passed += 1;
}
console.log(`fuzz: ${passed} passed, ${names.length - passed} failed, 0 skipped`);
process.exitCode = passed === names.length ? 0 : 1;
