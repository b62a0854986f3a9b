// Builds and runs the libFuzzer targets test/fuzz/NAME_fuzz.cc with clang.
//   fuzz.mjs [--seconds=30 | --total-seconds=30] [--quick] [--target=NAME] [NAME…]
// --seconds are for each target, --total-seconds are shared out among them. --quick takes the objects
// of native-tests.mjs --variant=asan, not optimised, instead of building its own.
// Each starts from its committed corpus test/fuzz/corpus/NAME and the inputs that once crashed it,
// test/fuzz/regression/NAME-*. What it learns goes to build/fuzz/NAME, a new crash to regression/.
// A line `// Sources: FILE…` in a target names all it needs; without one it gets the whole core.
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import sources from './list-sources.cjs';
import { asan, buildPrograms, coreSources, hasCommand, root } from './native-build.mjs';

const compilers = ['clang++', ...[20, 19, 18, 17, 16, 15, 14].map((version) => `clang++-${version}`)];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '30' },
    'total-seconds': { type: 'string' },
    quick: { type: 'boolean', default: false },
    target: { type: 'string', multiple: true },
  },
});
const targets = new Map(
  sources
    .sourcesIn('test/fuzz')
    .filter((file) => file.endsWith('_fuzz.cc'))
    .map((file) => [path.basename(file, '_fuzz.cc'), file]),
);
const wanted = [...positionals, ...(values.target ?? [])];
const names = wanted.length > 0 ? wanted : [...targets.keys()];
const unknown = names.filter((name) => !targets.has(name));
if (unknown.length > 0 || names.length === 0) {
  console.error(`no such target: ${unknown.join(', ')}; there are: ${[...targets.keys()].join(', ')}`);
  process.exit(2);
}
for (const option of ['seconds', 'total-seconds']) {
  if (/^[1-9]\d*$/.test(values[option] ?? '1')) continue;
  console.error(`--${option} is a whole number above 0, not ${values[option]}`);
  process.exit(2);
}
const total = values['total-seconds'];
const seconds = total === undefined ? +values.seconds : Math.ceil(total / names.length);

function sourcesOf(target) {
  const text = readFileSync(path.join(root, target), 'utf8');
  const line = /^\/\/ Sources: (.+)$/m.exec(text);
  return [target, ...(line ? line[1].trim().split(/\s+/) : coreSources())];
}

async function build() {
  const compiler = compilers.find(hasCommand);
  if (compiler === undefined) throw new Error('clang was not found');
  const optimised = {
    folder: 'build/native-fuzz',
    flags: [
      '-O1', '-g', '-DIOL_DEBUG', '-fsanitize=fuzzer-no-link,address,undefined',
      '-fno-sanitize-recover=undefined',
    ],
  };
  const shared = { folder: asan.folder, flags: [...asan.flags, ...asan.clangFlags] };
  return buildPrograms({
    ...(values.quick ? shared : optimised),
    compiler,
    linkFlags: ['-fsanitize=fuzzer'],
    programs: Object.fromEntries(names.map((name) => [name, sourcesOf(targets.get(name))])),
  });
}

// Resolves to { code, runs }.
function run(program, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'pipe'] });
    let tail = '';
    child.stderr.setEncoding('utf8');
    child.stderr.on('data', (text) => {
      process.stderr.write(text);
      tail = (tail + text).slice(-4096);
    });
    child.on('error', reject);
    child.on('close', (code) => {
      resolve({ code: code ?? 1, runs: /number_of_executed_units:\s*(\d+)/.exec(tail)?.[1] ?? '?' });
    });
  });
}

function filesIn(folder) {
  try {
    return readdirSync(path.join(root, folder)).sort().map((name) => path.join(root, folder, name));
  } catch {
    return [];
  }
}

async function fuzz(program, name) {
  const regression = path.join(root, 'test/fuzz/regression');
  const learnt = path.join(root, 'build/fuzz', name);
  mkdirSync(learnt, { recursive: true });
  const known = filesIn('test/fuzz/regression').filter((file) => path.basename(file).startsWith(`${name}-`));
  // Given files instead of folders, libFuzzer only runs them.
  if (known.length > 0 && (await run(program, known)).code !== 0) return 'failed: an old crash is back';
  mkdirSync(regression, { recursive: true });
  const corpus = filesIn(`test/fuzz/corpus/${name}`).length > 0 ? [`test/fuzz/corpus/${name}`] : [];
  const { code, runs } = await run(program, [
    `-max_total_time=${seconds}`, '-print_final_stats=1', '-max_len=16384', '-timeout=10',
    `-artifact_prefix=${regression}/${name}-`, learnt, ...corpus.map((each) => path.join(root, each)),
  ]);
  return code === 0 ? `runs=${runs} ok` : `runs=${runs} failed: see test/fuzz/regression/${name}-*`;
}

let built;
try {
  built = await build();
} catch (error) {
  console.error(`${error.message}\nfuzzing needs clang and its runtime: apt-get install clang libclang-rt-dev`);
  process.exit(1);
}
const lines = [];
for (const name of names) lines.push(`fuzz: ${name} ${await fuzz(built[name], name)}`);
const passed = lines.filter((line) => line.endsWith(' ok')).length;
console.log(lines.join('\n'));
console.log(`fuzz: ${passed} passed, ${names.length - passed} failed, 0 skipped`);
process.exitCode = passed === names.length ? 0 : 1;
