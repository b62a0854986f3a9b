// bench:http: what a static answer costs the server, in processor time, beside the least it could cost. See bench/README.md.
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run, stopAll } from '../lib/children.mjs';
import { MissingError, compile } from '../lib/compile.mjs';
import { chooseCpus } from '../lib/cpu.mjs';
import { sizeName } from '../lib/format.mjs';
import { checkHost, openResults, progress } from '../lib/host.mjs';
import { describeMachine, loadWarning, machineBlock } from '../lib/machine.mjs';
import { SLOW_BYTES, createLoad } from './load.mjs';
import { measureAll, verifyAll } from './measure.mjs';
import { HELP, UsageError, parseOptions } from './options.mjs';
import { YARDSTICK, remarks, rowsOf, sizeTables, summarize, summaryTable } from './report.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
/** The yardstick first, then the project, then the rest; a subject that is not named here comes last. */
const ORDER = ['bare', 'bare-sndbuf', 'flash-lite', 'nginx', 'nginx-read', 'lighttpd', 'h2o', 'node-http', 'express'];

let scratch = null;
let interrupted = false;

async function loadSubjects() {
  const files = (await readdir(join(HERE, 'subjects'))).filter((file) => file.endsWith('.mjs'));
  const subjects = await Promise.all(files.map((file) => import(new URL(`subjects/${file}`, import.meta.url))));
  const place = ({ name }) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);
  return subjects.sort((a, b) => place(a) - place(b) || a.name.localeCompare(b.name));
}

/** Files of every size with bytes that do not repeat, so a wrong offset shows. */
async function writeFiles(directory, sizes) {
  await mkdir(directory);
  for (const size of sizes) {
    const words = new Uint32Array(Math.ceil(size / 4));
    let state = size;
    for (let i = 0; i < words.length; i++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[i] = state;
    }
    await writeFile(join(directory, `${size}.bin`), new Uint8Array(words.buffer, 0, size));
  }
}

/** Starts what is there; says what is not. Returns `{ started: [{ name, about, server }], failures }`. */
async function startAll(subjects, options) {
  const started = [];
  const failures = [];
  for (const subject of subjects) {
    const there = await subject.available();
    if (there !== true) {
      console.log(`  ${subject.name.padEnd(12)}left out: ${there}`);
      continue;
    }
    progress(`starting ${subject.name}`);
    try {
      started.push({ name: subject.name, server: await subject.start(options) });
      progress('');
      console.log(`  ${subject.name.padEnd(12)}${subject.about}`);
    } catch (error) {
      progress('');
      console.log(`  ${subject.name.padEnd(12)}did not start: ${error.message}`);
      failures.push({ subject: subject.name, size: null, why: 'did not start' });
    }
  }
  return { started, failures };
}

async function list(subjects) {
  for (const { name, about, available } of subjects) {
    const there = await available();
    console.log(`${name.padEnd(14)}${there === true ? about : `missing: ${there}`}`);
  }
}

async function bench(subjects, options) {
  await checkHost();
  if (options.json !== undefined) await openResults(options.json);
  scratch = await mkdtemp(join(tmpdir(), 'iol-bench-http-'));
  const root = join(scratch, 'root');
  await writeFiles(root, [...new Set([...options.sizes, ...(options.slowReaders > 0 ? [SLOW_BYTES] : [])])]);
  const native = {
    bareServer: await compile(join(HERE, 'native/bare_server.c'), 'bare_server', scratch),
    load: await compile(join(HERE, 'native/load.c'), 'load', scratch),
  };
  const machine = await machineBlock(HERE);
  const cpus = chooseCpus();
  const load = await createLoad(options.load, { ...options, cpu: cpus.load, program: native.load, scratch });
  console.log(`${describeMachine(machine)}\n`);
  const warnings = [loadWarning(), cpus.server === cpus.load ? 'there is one processor only: server and load share it' : null];
  for (const warning of warnings.filter(Boolean)) console.log(`Warning: ${warning}\n`);
  await run('taskset', ['-a', '-c', '-p', String(cpus.load), String(process.pid)]); // out of the server's way

  console.log(`Subjects, on processor ${cpus.server}; the load (${options.load}) on processor ${cpus.load}`);
  const wanted = subjects.filter(({ name }) => name === YARDSTICK || options.only.includes(name));
  const { started, failures } = await startAll(wanted, { root, port: 0, cpu: cpus.server, scratch, native });
  failures.push(...await verifyAll(started, options.sizes, (size) => join(root, `${size}.bin`), load, progress));
  const samples = await measureAll({ subjects: started, options, load, cpus, failures, progress });
  progress('');

  const results = summarize(samples, options, failures);
  console.log(`\n${sizeTables(results, options)}`);
  console.log(`\n${summaryTable(results, options.sizes, started.map(({ name }) => name))}`);
  for (const remark of remarks(results, options)) console.log(remark);
  for (const { subject, size, why } of failures) {
    console.log(`FAILED ${subject}${size === null ? '' : `, ${sizeName(size)}`}: ${why}`);
  }
  if (options.json !== undefined) {
    const { load: loadName, connections, seconds, rounds, close, openLoop, slowReaders } = options;
    const setting = { load: loadName, connections, seconds, rounds, close, openLoop, slowReaders };
    await writeFile(options.json, `${JSON.stringify({ machine, run: setting, rows: rowsOf(results, options) }, null, 1)}\n`);
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
  console.error(`bench:http: ${why}: ending what was started`);
  await cleanUp();
  process.exit(status);
}

async function main() {
  const subjects = await loadSubjects();
  const options = parseOptions(process.argv.slice(2), subjects.map(({ name }) => name));
  if (options.help) {
    console.log(HELP);
    return 0;
  }
  if (options.list) {
    await list(subjects);
    return 0;
  }
  return bench(subjects, options);
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
    console.error(`bench:http: ${expected ? error.message : error.stack}`);
  }
}
if (!interrupted) {
  await cleanUp();
  process.exitCode = status;
}
