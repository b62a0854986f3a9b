// Builds the Node-free floors and their tests into build/native-VARIANT/ and runs them.
//   native-tests.mjs [--variant=plain|asan|tsan] [--compiler=g++|clang++] [--build-only] [NAME…]
// NAME runs only the tests whose name contains it. plain is the code as shipped, asan adds ASan and
// UBSan, tsan makes all domains of one process share one mapping (TSan sees no race through two).
// All have crash points (src-native/base/crash_point.h).
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { parseArgs } from 'node:util';
import sources from './list-sources.cjs';
import { asan, buildPrograms, chooseCompiler, coreSources } from './native-build.mjs';

const variants = {
  plain: { flags: ['-O2', '-g1', '-DIOL_CRASH_POINTS'], env: {} },
  asan: { ...asan, env: { UBSAN_OPTIONS: 'print_stacktrace=1' } },
  tsan: {
    flags: ['-O1', '-g1', '-DIOL_DEBUG', '-DIOL_CRASH_POINTS', '-DIOL_ONE_MAPPING', '-fsanitize=thread'],
    gccFlags: ['-Wno-tsan'],
    env: { TSAN_OPTIONS: 'halt_on_error=0:exitcode=66' },
  },
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    variant: { type: 'string', default: 'plain' },
    compiler: { type: 'string' },
    'build-only': { type: 'boolean', default: false },
  },
});
const variant = variants[values.variant];
if (variant === undefined) throw new Error(`--variant is one of ${Object.keys(variants).join(', ')}`);

const compiler = values.compiler ?? chooseCompiler(variant.compilers);
const compilerFlags = compiler.startsWith('g++') ? variant.gccFlags : variant.clangFlags;
const flags = [...variant.flags, ...(compilerFlags ?? [])];
const core = coreSources();
const programs = { native_tests: [...core, ...sources.testSources()] };
for (const tool of sources.toolSources()) programs[path.basename(tool, '.cc')] = [...core, tool];

let built;
try {
  built = await buildPrograms({ folder: `build/native-${values.variant}`, compiler, flags, programs });
} catch (error) {
  console.error(error.message);
  process.exit(1);
}

// Why setarch: with much address randomization TSan finds its shadow memory taken.
function commandFor(program) {
  const isTsan = values.variant === 'tsan';
  const canFix = isTsan && spawnSync('setarch', ['-R', 'true'], { stdio: 'ignore' }).status === 0;
  return canFix ? ['setarch', '-R', program] : [program];
}

if (!values['build-only']) {
  const [command, ...args] = [...commandFor(built.native_tests), ...positionals];
  const env = { ...process.env, ...variant.env };
  const { status, signal } = spawnSync(command, args, { env, stdio: 'inherit' });
  if (signal !== null) console.error(`native tests ended by ${signal}`);
  process.exitCode = status ?? 1;
}
