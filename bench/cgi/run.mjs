// bench:cgi: what an answer costs that a program makes, in processor time of the server and all its processes, beside
// the same server's static answer of the same size. See bench/README.md.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run, stopAll } from '../lib/children.mjs';
import { MissingError, compile } from '../lib/compile.mjs';
import { chooseCpus } from '../lib/cpu.mjs';
import { sizeName } from '../lib/format.mjs';
import { UsageError, checkHost, openResults, progress } from '../lib/host.mjs';
import { describeMachine, loadWarning, machineBlock } from '../lib/machine.mjs';
import { createLoad } from '../http/load.mjs';
import { measureAll, verifyAll } from '../http/measure.mjs';
import { HELP, parseOptions } from './options.mjs';
import { remarks, rowsOf, sizeTables, summarize } from './report.mjs';
import { servers, staticOf, subjects } from './subjects.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const COUNTER_DIGITS = 16;

let scratch = null;
let interrupted = false;

/** What the programs answer again and again: a counter of 0, and the letter that goes with it. */
async function writeFiles(directory, sizes) {
  await mkdir(directory);
  for (const size of sizes) {
    await writeFile(join(directory, `${size}.bin`), '0'.repeat(COUNTER_DIGITS) + 'a'.repeat(size - COUNTER_DIGITS));
  }
}

/** Starts the servers of `wanted`; says what is not there. Returns `{ started: [subjects with their server], failures }`. */
async function startAll(wanted, options) {
  const started = [];
  const failures = [];
  for (const [name, { about, available, start }] of Object.entries(servers)) {
    const own = wanted.filter(({ server }) => server === name);
    if (own.length === 0) continue;
    const leftOut = (why) => console.log(`  ${name.padEnd(12)}left out: ${why}`);
    const there = await available();
    if (there !== true) {
      leftOut(there);
      continue;
    }
    progress(`starting ${name}`);
    try {
      const server = await start(options);
      progress('');
      console.log(`  ${name.padEnd(12)}${about}`);
      for (const subject of own) started.push({ ...subject, server, verify: subject.makeVerify?.(server.port) });
    } catch (error) {
      progress('');
      if (error instanceof MissingError) {
        leftOut(error.message);
        continue;
      }
      console.log(`  ${name.padEnd(12)}did not start: ${error.message}`);
      for (const subject of own) failures.push({ subject: subject.name, size: null, why: 'did not start' });
    }
  }
  return { started, failures };
}

async function list() {
  for (const { name, server, about } of subjects) {
    const there = await servers[server].available();
    console.log(`${name.padEnd(26)}${there === true ? about : `missing: ${there}`}`);
  }
}

async function bench(options) {
  await checkHost();
  if (options.json !== undefined) await openResults(options.json);
  scratch = await mkdtemp(join(tmpdir(), 'iol-bench-cgi-'));
  const root = join(scratch, 'root');
  await writeFiles(root, options.sizes);
  const program = await compile(join(HERE, '../http/native/load.c'), 'load', scratch);
  const machine = await machineBlock(HERE);
  const cpus = chooseCpus();
  const load = await createLoad('own', { ...options, cpu: cpus.load, program, scratch });
  console.log(`${describeMachine(machine)}\n`);
  const warnings = [loadWarning(), cpus.server === cpus.load ? 'there is one processor only: server and load share it' : null];
  for (const warning of warnings.filter(Boolean)) console.log(`Warning: ${warning}\n`);
  await run('taskset', ['-a', '-c', '-p', String(cpus.load), String(process.pid)]); // out of the server's way

  console.log(`Servers, with all their programs on processor ${cpus.server}; the load on processor ${cpus.load}`);
  const named = subjects.filter(({ name }) => options.only.includes(name));
  const wanted = subjects.filter((subject) =>
    named.includes(subject) || named.some((each) => staticOf(each) === subject));
  const { started, failures } = await startAll(wanted, {
    root, port: 0, cpu: cpus.server, scratch, connections: options.connections,
  });
  failures.push(...await verifyAll(started, options.sizes, (size) => join(root, `${size}.bin`), load, progress));
  const samples = await measureAll({ subjects: started, options, load, cpus, failures, progress });
  progress('');

  const measured = subjects.filter(({ name }) => started.some((each) => each.name === name));
  const results = summarize(measured, samples, options.sizes, failures);
  console.log(`\n${sizeTables(results, options.sizes, options.connections)}`);
  for (const remark of remarks(results, options)) console.log(remark);
  for (const { subject, size, why } of failures) {
    console.log(`FAILED ${subject}${size === null ? '' : `, ${sizeName(size)}`}: ${why}`);
  }
  if (options.json !== undefined) {
    const { connections, seconds, rounds } = options;
    const content = { machine, run: { connections, seconds, rounds }, rows: rowsOf(results) };
    await writeFile(options.json, `${JSON.stringify(content, null, 1)}\n`);
  }
  return failures.length === 0 ? 0 : 1;
}

async function cleanUp() {
  await stopAll();
  if (scratch !== null) await rm(scratch, { recursive: true, force: true });
}

/** Ends early: by a signal, or because nobody reads the output any more. */
async function endEarly(why, status) {
  if (interrupted) return;
  interrupted = true;
  progress('');
  console.error(`bench:cgi: ${why}: ending what was started`);
  await cleanUp();
  process.exit(status);
}

async function main() {
  const options = parseOptions(process.argv.slice(2), subjects.map(({ name }) => name));
  if (options.help) {
    console.log(HELP);
    return 0;
  }
  if (options.list) {
    await list();
    return 0;
  }
  return bench(options);
}

for (const [name, status] of [['SIGHUP', 129], ['SIGINT', 130], ['SIGTERM', 143]]) {
  process.on(name, () => endEarly(name, status));
}
process.on('uncaughtException', (error) => endEarly(error.message, 2));

let status = 2;
try {
  status = await main();
} catch (error) {
  if (!interrupted) {
    const expected = error instanceof UsageError || error instanceof MissingError;
    console.error(`bench:cgi: ${expected ? error.message : error.stack}`);
  }
}
if (!interrupted) {
  await cleanUp();
  process.exitCode = status;
}
