// bench:http: what a static answer costs the server, in processor time, beside the least it could cost. See bench/README.md.
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compile } from '../lib/compile.mjs';
import { chooseCpus } from '../lib/cpu.mjs';
import { sizeName } from '../lib/format.mjs';
import { checkHost, openResults, progress } from '../lib/host.mjs';
import { machineBlock } from '../lib/machine.mjs';
import { leaveServersAlone, makeScratch, printList, printMachine, runBench, startAll, writeResults } from '../lib/runner.mjs';
import { SLOW_BYTES, createLoad } from './load.mjs';
import { measureAll, verifyAll } from './measure.mjs';
import { HELP, parseOptions } from './options.mjs';
import { YARDSTICK, remarks, rowsOf, sizeTables, summarize, summaryTable } from './report.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
/** The yardstick first, then the project, then the rest; a subject that is not named here comes last. */
const ORDER = ['bare', 'bare-sndbuf', 'flash-lite', 'nginx', 'nginx-read', 'lighttpd', 'h2o', 'node-http', 'express'];

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

async function bench(subjects, options) {
  await checkHost();
  await openResults(options.json);
  const scratch = await makeScratch('http');
  const root = join(scratch, 'root');
  await writeFiles(root, [...new Set([...options.sizes, ...(options.slowReaders > 0 ? [SLOW_BYTES] : [])])]);
  const native = {
    bareServer: await compile(join(HERE, 'native/bare_server.c'), 'bare_server', scratch),
    load: await compile(join(HERE, 'native/load.c'), 'load', scratch),
  };
  const machine = await machineBlock(HERE);
  const cpus = chooseCpus();
  const load = await createLoad(options.load, { ...options, cpu: cpus.load, program: native.load, scratch });
  printMachine(machine, cpus.server === cpus.load && 'there is one processor only: server and load share it');
  await leaveServersAlone(cpus);

  console.log(`Subjects, on processor ${cpus.server}; the load (${options.load}) on processor ${cpus.load}`);
  const wanted = subjects.filter(({ name }) => name === YARDSTICK || options.only.includes(name));
  const { started: servers, failures: unstarted } = await startAll(wanted, { root, port: 0, cpu: cpus.server, scratch, native });
  const started = wanted.filter(({ name }) => servers.has(name)).map(({ name }) => ({ name, server: servers.get(name) }));
  const failures = [...unstarted].map(([subject, why]) => ({ subject, size: null, why }));
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
  const { load: loadName, connections, seconds, rounds, close, openLoop, slowReaders } = options;
  const setting = { load: loadName, connections, seconds, rounds, close, openLoop, slowReaders };
  await writeResults(options.json, { machine, run: setting, rows: rowsOf(results, options) });
  return failures.length === 0 ? 0 : 1;
}

async function main() {
  const subjects = await loadSubjects();
  const options = parseOptions(process.argv.slice(2), subjects.map(({ name }) => name));
  if (options.help) console.log(HELP);
  else if (options.list) await printList(subjects);
  else return bench(subjects, options);
  return 0;
}

await runBench('http', main);
