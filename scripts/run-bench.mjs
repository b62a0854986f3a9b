// Runs the micro-benchmarks: bench/micro/NAME.bench.mjs, each in a process of its own, and the C++ ones
// bench/native/NAME_bench.cc as suite native-NAME. `npm run bench -- --help`; bench/README.md says what is measured.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { describeMachine, loadWarning, machineBlock } from '../bench/lib/machine.mjs';
import { nativeSuites, runNative } from '../bench/micro/native.mjs';
import { slowerTable, tableOf } from '../bench/micro/report.mjs';

const root = path.join(import.meta.dirname, '..');
const folder = path.join(root, 'bench/micro');
const scripts = readdirSync(folder).filter((name) => name.endsWith('.bench.mjs')).sort();
const suites = [
  ...scripts.map((name) => path.basename(name, '.bench.mjs')),
  ...nativeSuites().map((name) => `native-${name}`),
];

const help = `bench: operations on aggregates, cached files and pipes beside other libraries; how: bench/README.md

  npm run bench -- [options]

  --quick          short rounds: about two minutes
  --suite NAME     only this suite; may be given again: ${suites.join(' ')}
  --case TEXT      only cases whose name contains this
  --json FILE      also write { machine, run, rows } there
  --help           this text
`;

function fail(text) {
  process.stderr.write(`bench: ${text}\n\n${help}`);
  process.exit(2);
}

function readOptions() {
  try {
    return parseArgs({
      options: {
        quick: { type: 'boolean', default: false },
        suite: { type: 'string', multiple: true },
        case: { type: 'string', default: '' },
        json: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    return fail(error.message);
  }
}

function runScript(name, { quick, case: part }, scratch) {
  const file = path.join(scratch, `${name}.json`);
  const args = ['--expose-gc', path.join(folder, `${name}.bench.mjs`), '--case', part, '--rows', file];
  if (quick) args.push('--quick');
  const { status, signal } = spawnSync(process.execPath, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) throw new Error(`suite ${name} ended with ${signal ?? `status ${status}`}`);
  return JSON.parse(readFileSync(file, 'utf8')).rows;
}

const options = readOptions();
if (options.help) {
  process.stdout.write(help);
  process.exit();
}
const wanted = options.suite ?? suites;
const unknown = wanted.filter((name) => !suites.includes(name));
if (unknown.length > 0) fail(`no suite is named ${unknown.join(', ')}`);
// Found out before the measuring, not after it.
if (options.json !== undefined) {
  try {
    writeFileSync(options.json, '');
  } catch (error) {
    fail(`--json: ${error.message}`);
  }
}

const scratch = mkdtempSync(path.join(tmpdir(), 'iol-bench-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
const machine = await machineBlock(root);
const warning = loadWarning();
if (warning !== null) process.stderr.write(`bench: ${warning}\n`);

const rows = [];
for (const name of wanted) {
  process.stderr.write(`${name}\n`);
  try {
    const isNative = name.startsWith('native-');
    const found = isNative ? runNative(name.slice('native-'.length), scratch) : runScript(name, options, scratch);
    rows.push(...found);
    if (found.length > 0) console.log(`\n${tableOf(name, found)}`);
  } catch (error) {
    console.error(`bench: ${error.message}`);
    process.exitCode = 1;
  }
}
if (rows.length === 0 && process.exitCode === undefined) fail(`no case has "${options.case}" in its name`);
if (rows.some(({ metric }) => metric === 'ops/s')) console.log(`\n${slowerTable(rows)}`);
console.log(`\n${describeMachine(machine)}`);
const run = { bench: 'micro', quick: options.quick, suites: wanted };
if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify({ machine, run, rows }, null, 2)}\n`);
