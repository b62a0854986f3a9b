// Compiles Node-free programs (native tests, tools, fuzz targets) straight with g++ or clang++,
// each source only when it, a header it includes, or the flags have changed.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import sources from './list-sources.cjs';

export const root = path.join(import.meta.dirname, '..');

const baseFlags = [
  '-std=gnu++20', '-fno-exceptions', '-fno-rtti', '-fPIC', '-pthread', '-fvisibility=hidden',
  '-Wall', '-Wextra', '-Werror', '-iquotesrc-native', '-iquotetest/native', '-MMD',
];

// Shared by native-tests.mjs and fuzz.mjs --quick, so that the floors are compiled once for both.
// Why clang++ first: at -O0 (optimising UBSan's checks costs more than it saves) it is the faster.
export const asan = {
  folder: 'build/native-asan',
  compilers: ['clang++', 'g++'],
  flags: [
    '-O0', '-g1', '-fno-omit-frame-pointer', '-DIOL_DEBUG', '-DIOL_CRASH_POINTS',
    '-fsanitize=address,undefined', '-fno-sanitize-recover=undefined',
  ],
  clangFlags: ['-Wno-overloaded-virtual', '-fsanitize=fuzzer-no-link'],
};

// plain is the code as shipped, asan adds ASan and UBSan, tsan makes all domains of one process share
// one mapping (TSan sees no race through two). All have crash points (src-native/base/crash_point.h).
const variants = {
  plain: { flags: ['-O2', '-g1', '-DIOL_CRASH_POINTS'], env: {} },
  asan: { ...asan, env: { UBSAN_OPTIONS: 'print_stacktrace=1' } },
  tsan: {
    flags: ['-O1', '-g1', '-DIOL_DEBUG', '-DIOL_CRASH_POINTS', '-DIOL_ONE_MAPPING', '-fsanitize=thread'],
    gccFlags: ['-Wno-tsan'],
    env: { TSAN_OPTIONS: 'halt_on_error=0:exitcode=66' },
  },
};

// What programs of a variant are built with and where, and the environment that they run in.
export function variantOf(name, wantedCompiler) {
  const variant = variants[name];
  if (variant === undefined) throw new Error(`--variant is one of ${Object.keys(variants).join(', ')}`);
  const compiler = wantedCompiler ?? chooseCompiler(variant.compilers);
  const more = compiler.startsWith('g++') ? variant.gccFlags : variant.clangFlags;
  const flags = [...variant.flags, ...(more ?? [])];
  return { folder: `build/native-${name}`, compiler, flags, env: variant.env };
}

export const coreSources = () => sources.floorSources(sources.coreFloors);

export function hasCommand(name) {
  return spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0;
}

export function chooseCompiler(wanted = ['g++', 'clang++']) {
  const found = wanted.find(hasCommand);
  if (found === undefined) throw new Error(`none of these compilers was found: ${wanted.join(', ')}`);
  return found;
}

function mtimeMs(file) {
  return statSync(path.join(root, file), { throwIfNoEntry: false })?.mtimeMs;
}

// Everything that `object` was made from, as the compiler wrote it down; undefined when not built.
function dependencies(object) {
  try {
    const text = readFileSync(path.join(root, object.replace(/\.o$/, '.d')), 'utf8');
    return text.slice(text.indexOf(':') + 1).split(/[\s\\]+/).filter(Boolean);
  } catch {
    return undefined;
  }
}

function isFresh(object) {
  const built = mtimeMs(object);
  const inputs = dependencies(object);
  if (built === undefined || inputs === undefined) return false;
  return inputs.every((input) => {
    const changed = input.startsWith('/') ? 0 : mtimeMs(input);
    return changed !== undefined && changed < built;
  });
}

function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: 'inherit' });
    child.on('error', reject);
    child.on('exit', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${command} failed for ${args.at(-1)}`));
    });
  });
}

// Why temporary names: another build of the same folder must never see half an object.
async function compile(compiler, flags, source, object) {
  const started = new Date();
  const stem = object.replace(/\.o$/, '');
  const temporary = `${stem}.${process.pid}`;
  mkdirSync(path.join(root, path.dirname(object)), { recursive: true });
  console.log(`  ${compiler} ${source}`);
  try {
    await run(compiler, [...baseFlags, ...flags, '-c', '-o', `${temporary}.o`, source]);
  } catch (error) {
    rmSync(path.join(root, `${temporary}.d`), { force: true });
    throw error;
  }
  // A source that was edited while it was compiled must look newer than its object.
  utimesSync(path.join(root, `${temporary}.o`), started, started);
  renameSync(path.join(root, `${temporary}.d`), path.join(root, `${stem}.d`));
  renameSync(path.join(root, `${temporary}.o`), path.join(root, object));
}

// What most sources include is parsed once: that halves the time that a small one takes. Each source
// names all it needs all the same, for the addon's build has no such header.
const standardHeaders = [
  'algorithm', 'array', 'atomic', 'cstdint', 'cstdio', 'cstring', 'functional', 'memory', 'mutex', 'new',
  'optional', 'random', 'span', 'string', 'string_view', 'thread', 'unordered_map', 'utility', 'vector',
];

// Returns the flags that make a compiler use it.
async function precompile(folder, compiler, flags) {
  const header = `${folder}/standard.h`;
  const isClang = compiler.includes('clang');
  const precompiled = `${header}.${isClang ? 'pch' : 'gch'}`;
  if (mtimeMs(precompiled) === undefined) {
    const temporary = `${precompiled}.${process.pid}`;
    const text = standardHeaders.map((name) => `#include <${name}>\n`).join('');
    writeFileSync(path.join(root, header), text);
    console.log(`  ${compiler} ${header}`);
    await run(compiler, [...baseFlags, ...flags, '-MF', `${header}.d`, '-x', 'c++-header', '-o', temporary, header]);
    renameSync(path.join(root, temporary), path.join(root, precompiled));
  }
  if (isClang) return ['-include-pch', precompiled];
  // GCC 12 forgets that this is the standard library's code, and has false alarms in it.
  return ['-Winvalid-pch', '-Wno-array-bounds', '-Wno-restrict', '-Wno-stringop-overflow', '-include', header];
}

// The first failure ends the queue; what runs beside it is let finish.
async function compileAll(jobs) {
  const queue = [...jobs];
  let failure;
  const worker = async () => {
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
      await job().catch((error) => {
        failure ??= error;
        queue.length = 0;
      });
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  if (failure !== undefined) throw failure;
}

// A folder that was built with other flags is emptied first.
function claimFolder(folder, signature) {
  const stamp = path.join(root, folder, 'flags.txt');
  let previous;
  try {
    previous = readFileSync(stamp, 'utf8');
  } catch {
    previous = undefined;
  }
  if (previous === signature) return;
  rmSync(path.join(root, folder), { recursive: true, force: true });
  mkdirSync(path.join(root, folder), { recursive: true });
  writeFileSync(stamp, signature);
}

// Builds `programs` ({ name: [sources] }) into `folder`; returns { name: path }.
export async function buildPrograms({ folder, compiler, flags, linkFlags = [], programs }) {
  claimFolder(folder, [compiler, ...baseFlags, ...flags].join(' '));
  const objectOf = (source) => `${folder}/${source.replace(/\.cc$/, '.o')}`;
  const stale = [...new Set(Object.values(programs).flat())].filter((each) => !isFresh(objectOf(each)));
  const all = stale.length > 0 ? [...flags, ...(await precompile(folder, compiler, flags))] : flags;
  await compileAll(stale.map((source) => () => compile(compiler, all, source, objectOf(source))));

  const built = {};
  for (const [name, list] of Object.entries(programs)) {
    const program = `${folder}/${name}`;
    const objects = list.map(objectOf);
    const linked = mtimeMs(program);
    const isCurrent =
      linked !== undefined && stale.length === 0 && objects.every((each) => mtimeMs(each) < linked);
    if (!isCurrent) {
      const temporary = `${program}.${process.pid}`;
      await run(compiler, [...flags, ...linkFlags, '-pthread', ...objects, '-o', temporary]);
      renameSync(path.join(root, temporary), path.join(root, program));
    }
    built[name] = path.join(root, program);
  }
  return built;
}
