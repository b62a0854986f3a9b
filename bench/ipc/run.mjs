// bench:ipc: messages between two Node processes, by reference and by copying. See bench/README.md.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exists } from '../lib/children.mjs';
import { MissingError } from '../lib/compile.mjs';
import { chooseCpus } from '../lib/cpu.mjs';
import { sizeName } from '../lib/format.mjs';
import { openResults, progress } from '../lib/host.mjs';
import { machineBlock } from '../lib/machine.mjs';
import { makeScratch, printList, printMachine, runBench, writeResults } from '../lib/runner.mjs';
import { depthOf } from './buffers.mjs';
import { HELP, parseOptions } from './options.mjs';
import { ROWS, remarks, rowsOf, summarize, tables } from './report.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const ORDER = ['io-lite', 'io-lite-no-spin', 'unix-socket', 'pipe', 'cp-advanced', 'cp-json', 'worker', 'worker-transfer', 'zeromq'];
const SMALL = 64;
const ONE_WAY = { ackEvery: 4096, depth: 16_384 };
const MEASUREMENT_TIMEOUT_MS = 60_000;

const children = new Set();
let scratch = null;

async function loadSubjects() {
  const files = (await readdir(join(HERE, 'subjects'))).filter((file) => file.endsWith('.mjs'));
  const subjects = await Promise.all(files.map(async (file) => (
    { file: `./subjects/${file}`, sizeMax: Infinity, rows: Object.keys(ROWS), ...await import(`./subjects/${file}`) })));
  return subjects.sort((a, b) => ORDER.indexOf(a.name) - ORDER.indexOf(b.name));
}

function placesOf(cpus) {
  if (cpus === 'free') return { sender: null, receiver: null };
  const { server, load } = chooseCpus();
  return { sender: server, receiver: cpus === 'one' ? server : load };
}

/** What a sender says next; its end is an error. */
async function answerOf(child) {
  const signal = AbortSignal.timeout(MEASUREMENT_TIMEOUT_MS);
  return Promise.race([
    once(child, 'message', { signal }).then(([message]) => message),
    once(child, 'exit', { signal }).then(([code]) => { throw new Error(`its sender ended with status ${code}`); }),
  ]);
}

async function startSender({ name, file }, cpus) {
  const directory = join(scratch, name);
  await mkdir(directory);
  const child = fork(join(HERE, 'sender.mjs'), [JSON.stringify({ file, scratch: directory, cpus })]);
  child.setMaxListeners(0);
  children.add(child);
  await answerOf(child);
  return child;
}

function jobsOf(subjects, { sizes, ms }) {
  const jobs = [];
  for (const size of sizes) {
    const there = subjects.filter(({ sizeMax }) => size <= sizeMax);
    for (const row of Object.keys(ROWS)) {
      for (const [kind, depth] of [['trip', 1], ['many', depthOf(size)]]) {
        for (const subject of there.filter(({ rows }) => rows.includes(row))) {
          jobs.push({ subject, kind, row, message: { size, row, depth, ackEvery: 1, ms } });
        }
      }
    }
    if (size !== SMALL) continue;
    for (const subject of there.filter(({ rows }) => rows.includes('again'))) {
      jobs.push({ subject, kind: 'one way', row: 'one way', message: { size, row: 'again', ...ONE_WAY, ms: ms * 3 } });
    }
  }
  return jobs;
}

/** All jobs in each round, which begin with another one each time. */
async function measureAll(jobs, senders, { rounds }, failures) {
  const samples = new Map();
  for (let round = 0; round < rounds; round++) {
    const shift = Math.floor((round * jobs.length) / rounds);
    for (const { subject: { name }, kind, row, message } of [...jobs.slice(shift), ...jobs.slice(0, shift)]) {
      if (failures.has(name)) continue;
      progress(`round ${round + 1} of ${rounds}: ${name}, ${sizeName(message.size)}, ${row}, ${kind}`);
      const sender = senders.get(name);
      try {
        const answer = answerOf(sender);
        sender.send(message);
        const key = `${name} ${message.size} ${row} ${kind}`;
        samples.set(key, [...(samples.get(key) ?? []), (await answer).figures]);
      } catch (error) {
        const why = error.name === 'AbortError' ? `no figures within ${MEASUREMENT_TIMEOUT_MS / 1000} s` : error.message;
        failures.set(name, `${sizeName(message.size)}, ${row}, ${kind}: ${why}`);
      }
    }
  }
  progress('');
  return samples;
}

async function startAll(subjects, cpus, failures) {
  const senders = new Map();
  for (const subject of subjects) {
    const there = await subject.available();
    console.log(`  ${subject.name.padEnd(16)}${there === true ? subject.about : `left out: ${there}`}`);
    if (there !== true) continue;
    try {
      senders.set(subject.name, await startSender(subject, cpus));
    } catch (error) {
      failures.set(subject.name, error.message);
    }
  }
  return senders;
}

async function bench(subjects, options) {
  if (!await exists('taskset', ['--version'])) throw new MissingError('taskset is not installed (Debian: apt install util-linux)');
  await openResults(options.json);
  scratch = await makeScratch('ipc');
  const machine = await machineBlock(HERE);
  const cpus = placesOf(options.cpus);
  printMachine(machine, options.cpus === 'two' && cpus.sender === cpus.receiver && 'there is one processor only');

  console.log(`Subjects; sender and receiver: ${options.cpus === 'free' ? 'where the kernel puts them' : `on processors ${cpus.sender} and ${cpus.receiver}`}`);
  const failures = new Map();
  const senders = await startAll(subjects.filter(({ name }) => options.only.includes(name)), cpus, failures);
  const jobs = jobsOf(subjects.filter(({ name }) => senders.has(name)), options);
  const samples = await measureAll(jobs, senders, options, failures);

  const pairs = jobs.filter(({ subject, kind }) => kind !== 'many' && !failures.has(subject.name))
    .map(({ subject, row, message }) => ({ subject: subject.name, size: message.size, row }));
  for (const name of failures.keys()) for (const key of samples.keys()) if (key.startsWith(`${name} `)) samples.delete(key);
  const results = summarize(pairs, samples);
  console.log(`\n${tables(results, options.sizes)}\n`);
  if (senders.has('io-lite') && !failures.has('io-lite')) for (const remark of remarks(results, options.sizes)) console.log(remark);
  for (const [name, why] of failures) console.log(`FAILED ${name}: ${why}`);
  const { cpus: place, rounds, ms } = options;
  await writeResults(options.json, { machine, run: { cpus: place, rounds, ms }, rows: rowsOf(results) });
  return failures.size === 0 ? 0 : 1;
}

async function endSenders() {
  await Promise.all([...children].filter((child) => child.exitCode === null && child.connected).map((child) => {
    const ended = once(child, 'exit');
    child.disconnect();
    return ended;
  }));
}

async function main() {
  const subjects = await loadSubjects();
  const options = parseOptions(process.argv.slice(2), subjects.map(({ name }) => name));
  if (options.help) console.log(HELP);
  else if (options.list) await printList(subjects);
  else return bench(subjects, options);
  return 0;
}

await runBench('ipc', main, endSenders);
