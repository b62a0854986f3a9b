// bench:cgi: what an answer costs that a program makes, in processor time of the server and all its processes, beside
// the same server's static answer of the same size. See bench/README.md.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compile } from '../lib/compile.mjs';
import { chooseCpus } from '../lib/cpu.mjs';
import { sizeName } from '../lib/format.mjs';
import { checkHost, openResults, progress } from '../lib/host.mjs';
import { machineBlock } from '../lib/machine.mjs';
import { leaveServersAlone, makeScratch, printList, printMachine, runBench, startAll, writeResults } from '../lib/runner.mjs';
import { createLoad } from '../http/load.mjs';
import { measureAll, verifyAll } from '../http/measure.mjs';
import { HELP, parseOptions } from './options.mjs';
import { remarks, rowsOf, sizeTables, summarize } from './report.mjs';
import { servers, staticOf, subjects } from './subjects.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const COUNTER_DIGITS = 16;

/** What the programs answer again and again: a counter of 0, and the letter that goes with it. */
async function writeFiles(directory, sizes) {
  await mkdir(directory);
  for (const size of sizes) {
    await writeFile(join(directory, `${size}.bin`), '0'.repeat(COUNTER_DIGITS) + 'a'.repeat(size - COUNTER_DIGITS));
  }
}

/** Starts the servers of `wanted`. Resolves to `{ started: [subjects with their server], failures }`. */
async function startSubjects(wanted, options) {
  const named = Object.entries(servers).map(([name, server]) => ({ name, ...server }))
    .filter(({ name }) => wanted.some(({ server }) => server === name));
  const { started, failures } = await startAll(named, options);
  return {
    started: wanted.filter(({ server }) => started.has(server)).map((subject) => {
      const server = started.get(subject.server);
      return { ...subject, server, verify: subject.makeVerify?.(server.port) };
    }),
    failures: wanted.filter(({ server }) => failures.has(server))
      .map(({ name, server }) => ({ subject: name, size: null, why: failures.get(server) })),
  };
}

async function bench(options) {
  await checkHost();
  await openResults(options.json);
  const scratch = await makeScratch('cgi');
  const root = join(scratch, 'root');
  await writeFiles(root, options.sizes);
  const program = await compile(join(HERE, '../http/native/load.c'), 'load', scratch);
  const machine = await machineBlock(HERE);
  const cpus = chooseCpus();
  const load = await createLoad('own', { ...options, cpu: cpus.load, program, scratch });
  printMachine(machine, cpus.server === cpus.load && 'there is one processor only: server and load share it');
  await leaveServersAlone(cpus);

  console.log(`Servers, with all their programs on processor ${cpus.server}; the load on processor ${cpus.load}`);
  const named = subjects.filter(({ name }) => options.only.includes(name));
  const wanted = subjects.filter((subject) =>
    named.includes(subject) || named.some((each) => staticOf(each) === subject));
  const { started, failures } = await startSubjects(wanted, {
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
  const { connections, seconds, rounds } = options;
  await writeResults(options.json, { machine, run: { connections, seconds, rounds }, rows: rowsOf(results) });
  return failures.length === 0 ? 0 : 1;
}

async function main() {
  const options = parseOptions(process.argv.slice(2), subjects.map(({ name }) => name));
  if (options.help) console.log(HELP);
  else if (options.list) await printList(subjects.map((each) => ({ ...each, available: servers[each.server].available })));
  else return bench(options);
  return 0;
}

await runBench('cgi', main);
