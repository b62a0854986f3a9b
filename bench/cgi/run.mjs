// bench:cgi: what an answer costs that a program makes, in processor time of the server and all its processes, beside
// the same server's static answer of the same size. See bench/README.md.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chooseCpus } from '../lib/cpu.mjs';
import { checkHost, openResults, progress } from '../lib/host.mjs';
import { machineBlock } from '../lib/machine.mjs';
import { leaveServersAlone, makeScratch, printList, printMachine, runBench, startAll, writeResults } from '../lib/runner.mjs';
import { compileLoad, createLoad } from '../http/load.mjs';
import { measureAll, printFailures, verifyAll } from '../http/measure.mjs';
import { sizeTarget } from '../http/targets.mjs';
import { HELP, parseOptions } from './options.mjs';
import { remarks, rowsOf, sizeTables, summarize } from './report.mjs';
import { servers, staticOf, subjects } from './subjects.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const HOST = '127.0.0.1';
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
    started: wanted.filter(({ server }) => started.has(server))
      .map((subject) => ({ ...subject, server: started.get(subject.server) })),
    failures: wanted.filter(({ server }) => failures.has(server))
      .map(({ name, server }) => ({ subject: name, target: null, why: failures.get(server) })),
  };
}

/** Static files by their path; answers of programs by that of the subject. */
function targetOf(root, size) {
  const still = sizeTarget(root, size);
  return {
    ...still,
    argsOf: ({ path, loadArgs = [] }) => (path ? ['--path', path(size), ...loadArgs] : still.argsOf()),
    verify({ path, row, server }, load) {
      if (row === 'static') return still.verify({ server }, load);
      if (row === 'same') return load.verify(server.port, path(size), join(root, `${size}.bin`));
      return load.verifyCounter(server.port, path(size), size);
    },
  };
}

async function bench(options) {
  await checkHost();
  await openResults(options.json);
  const scratch = await makeScratch('cgi');
  const root = join(scratch, 'root');
  await writeFiles(root, options.sizes);
  const program = await compileLoad(scratch);
  const machine = await machineBlock(HERE);
  const cpus = chooseCpus();
  const load = await createLoad('own', { ...options, host: HOST, cpu: cpus.load, program, scratch });
  printMachine(machine, cpus.server === cpus.load && 'there is one processor only: server and load share it');
  await leaveServersAlone(cpus);

  console.log(`Servers, with all their programs on processor ${cpus.server}; the load on processor ${cpus.load}`);
  const named = subjects.filter(({ name }) => options.only.includes(name));
  const wanted = subjects.filter((subject) =>
    named.includes(subject) || named.some((each) => staticOf(each) === subject));
  const { started, failures } = await startSubjects(wanted, {
    root, host: HOST, place: { cpu: cpus.server }, scratch, connections: options.connections,
  });
  const targets = options.sizes.map((size) => targetOf(root, size));
  failures.push(...await verifyAll(started, targets, load, progress));
  const samples = await measureAll({ subjects: started, targets, options, load, cpus, failures, progress });
  progress('');

  const measured = subjects.filter(({ name }) => started.some((each) => each.name === name));
  const results = summarize(measured, samples, targets, failures);
  console.log(`\n${sizeTables(results, options.sizes, options.connections)}`);
  for (const remark of remarks(results, options)) console.log(remark);
  printFailures(failures);
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
