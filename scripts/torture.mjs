// Builds the C++ torture (test/torture/native) into build/native-VARIANT/ and runs it.
//   torture.mjs [--variant=plain|asan] [OPTION…]
// The other options are the program's own: npm run torture -- --help lists them. Two of its
// participants are Node processes (--node N says how many), when dist/ and the addon were built.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
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

const pathOf = (file) => fileURLToPath(new URL(`../${file}`, import.meta.url));
const needed = ['dist/index.js', 'build/Release/io-lite.node'];
const isBuilt = needed.every((file) => existsSync(pathOf(file)));
if (!isBuilt) console.log('torture: no dist/ or no addon: without Node participants');
const node = {
  TORTURE_NODE: process.execPath,
  TORTURE_NODE_SCRIPT: pathOf('test/torture/node/participant.mjs'),
};

// Under a sanitizer everything takes several times as long.
const patience = name === 'plain' ? [] : ['--stall-ms', '10000'];
const child = spawn(torture, [...patience, '--node', isBuilt ? '2' : '0', ...args], {
  env: { ...process.env, ...env, ...node },
  stdio: 'inherit',
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => {
  if (signal !== null) console.error(`torture ended by ${signal}`);
  process.exitCode = code ?? 1;
});
