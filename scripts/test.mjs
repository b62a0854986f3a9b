// Runs everything that needs no Debian package and ends with the one line
// `N passed, N failed, N skipped`, the sum of all runners.
//   npm test                    all parts
//   npm test -- native mocha    only these
// A runner that leaves no count of its own (it crashed, say) is itself counted as a failure.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..');
const require = createRequire(import.meta.url);
const script = (name) => path.join('scripts', name);

// build and types are tools that count nothing: each is one test, which its exit code decides.
const parts = {
  build: { commands: [[script('build-native.mjs')], [script('build-lib.mjs')]], countsNothing: true },
  types: {
    // The reference is written for nobody here: it must only be complete and without a warning.
    commands: [
      [require.resolve('typescript/bin/tsc'), '-p', '.'],
      [path.join('node_modules', 'typedoc', 'bin', 'typedoc'), '--emit', 'none'],
    ],
    countsNothing: true,
  },
  mocha: { commands: [[require.resolve('mocha/bin/mocha.js')]] },
  native: { commands: [[script('native-tests.mjs')]] },
  package: { commands: [[script('pack-and-consume.mjs')]] },
};

const countLine = /^(?:[\w.-]+: )?(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$/gm;

// Shows what the runner prints while it runs; resolves to its exit code and its last count.
function run(args) {
  return new Promise((resolve) => {
    const env = { ...process.env };
    if (process.stdout.isTTY) env.FORCE_COLOR = '1';
    const child = spawn(process.execPath, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8');
    child.stdout.on('data', (text) => {
      output += text;
      process.stdout.write(text);
    });
    child.on('close', (code, signal) => {
      if (signal !== null) console.log(`ended by ${signal}`);
      const last = [...output.matchAll(countLine)].at(-1);
      const count = last && { passed: +last[1], failed: +last[2], skipped: +(last[3] ?? 0) };
      resolve({ code: code ?? 1, count });
    });
  });
}

async function runPart(name) {
  console.log(`\n== ${name}`);
  const { commands, countsNothing } = parts[name];
  let result;
  for (const command of commands) {
    result = await run(command);
    if (result.code !== 0) break;
  }
  if (countsNothing) {
    return { passed: result.code === 0 ? 1 : 0, failed: result.code === 0 ? 0 : 1, skipped: 0 };
  }
  if (result.count === undefined) {
    console.log(`${name} left no count`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
  if (result.code !== 0 && result.count.failed === 0) {
    console.log(`${name} exited with ${result.code}`);
    return { ...result.count, failed: 1 };
  }
  return result.count;
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in parts));
if (unknown.length > 0) {
  console.error(`no such part: ${unknown.join(', ')}; there are ${Object.keys(parts).join(', ')}`);
  process.exit(2);
}

const total = { passed: 0, failed: 0, skipped: 0 };
for (const name of wanted.length > 0 ? wanted : Object.keys(parts)) {
  const count = await runPart(name);
  for (const key of Object.keys(total)) total[key] += count[key];
}
console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed === 0 ? 0 : 1;
