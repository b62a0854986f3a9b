// Builds the C++ torture (test/torture/native) into build/native-VARIANT/ and runs it.
//   torture.mjs [--variant=plain|asan] [OPTION…]
// The other options are the program's own: npm run torture -- --help lists them.
import { spawn } from 'node:child_process';
import sources from './list-sources.cjs';
import { buildPrograms, coreSources, variantOf } from './native-build.mjs';

const args = process.argv.slice(2);
const given = args.findIndex((each) => each.startsWith('--variant='));
const name = given < 0 ? 'plain' : args.splice(given, 1)[0].slice('--variant='.length);
const { folder, compiler, flags, env } = variantOf(name);
const { torture } = await buildPrograms({
  folder,
  compiler,
  flags,
  programs: { torture: [...coreSources(), ...sources.sourcesIn('test/torture/native')] },
});

// Under a sanitizer everything takes several times as long.
const patience = name === 'plain' ? [] : ['--stall-ms', '10000'];
const child = spawn(torture, [...patience, ...args], { env: { ...process.env, ...env }, stdio: 'inherit' });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => {
  if (signal !== null) console.error(`torture ended by ${signal}`);
  process.exitCode = code ?? 1;
});
