// Builds the Node-free floors and their tests into build/native-VARIANT/ and runs them.
//   native-tests.mjs [--variant=plain|asan|tsan] [--compiler=g++|clang++] [--build-only] [NAME…]
// NAME runs only the tests whose name contains it. The variants are in native-build.mjs.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { parseArgs } from 'node:util';
import sources from './list-sources.cjs';
import { buildPrograms, coreSources, variantOf } from './native-build.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    variant: { type: 'string', default: 'plain' },
    compiler: { type: 'string' },
    'build-only': { type: 'boolean', default: false },
  },
});
const { folder, compiler, flags, env: variantEnv } = variantOf(values.variant, values.compiler);
const core = coreSources();
const programs = { native_tests: [...core, ...sources.testSources()] };
for (const each of [...sources.toolSources(), ...sources.exampleSources()]) {
  programs[path.basename(each, '.cc')] = [...core, each];
}

let built;
try {
  built = await buildPrograms({ folder, compiler, flags, programs });
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
  const env = { ...process.env, ...variantEnv };
  const { status, signal } = spawnSync(command, args, { env, stdio: 'inherit' });
  if (signal !== null) console.error(`native tests ended by ${signal}`);
  process.exitCode = status ?? 1;
}
