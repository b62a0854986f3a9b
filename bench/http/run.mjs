// bench:http: what a static answer costs the server, in processor time, beside the least it could cost. See bench/README.md.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compile } from '../lib/compile.mjs';
import { chooseCpus } from '../lib/cpu.mjs';
import { checkHost, openResults, progress } from '../lib/host.mjs';
import { machineBlock } from '../lib/machine.mjs';
import { leaveServersAlone, makeScratch, printList, printMachine, runBench, startAll, writeResults } from '../lib/runner.mjs';
import { sendPaths } from './bare.mjs';
import { makeCertificate } from './certificate.mjs';
import { compileLoad, createLoad } from './load.mjs';
import { measureAll, printFailures, verifyAll } from './measure.mjs';
import { HELP, parseOptions } from './options.mjs';
import { remarks, rowsOf, summarize, summaryTable, targetTables, yardstickOf } from './report.mjs';
import { mixTarget, sizeTarget, writeSizes } from './targets.mjs';
import { expand } from './variants.mjs';
import { isOutside, removeNamespaces, runThroughVeth, serverPlace } from './veth.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
/** The yardstick first, then the project, then the rest; a subject that is not named here comes last. */
const ORDER = ['bare', 'bare-sndbuf', 'flash-lite', 'nginx', 'nginx-read', 'lighttpd', 'h2o', 'lwan', 'uws', 'bun', 'node-http',
  'express', 'fastify-static', 'sirv'];

async function loadSubjects() {
  const files = (await readdir(join(HERE, 'subjects'))).filter((file) => file.endsWith('.mjs'));
  const subjects = await Promise.all(files.map(async (file) => ({ ...await import(new URL(`subjects/${file}`, import.meta.url)) })));
  const place = ({ name }) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);
  return subjects.sort((a, b) => place(a) - place(b) || a.name.localeCompare(b.name));
}

const wantedOf = (subjects, options) => (options.sendPaths
  ? [...subjects.filter(({ isYardstick }) => isYardstick), ...sendPaths.filter(({ name }) => options.only.includes(name))]
  : expand(subjects.filter(({ name }) => name === yardstickOf(options) || options.only.includes(name)), options));

async function targetsOf(root, scratch, { mix, files, sizes, held, close }) {
  await writeSizes(root, [...sizes, ...(held ? [held.size] : [])]);
  return mix ? [await mixTarget(root, scratch, { count: files, close })] : sizes.map((size) => sizeTarget(root, size));
}

async function bench(subjects, options) {
  await checkHost();
  await openResults(options.json);
  const scratch = await makeScratch('http');
  const root = join(scratch, 'root');
  const bareServer = ['bare_server.c', 'bare_answers.c'].map((file) => join(HERE, 'native', file));
  const native = { bareServer: await compile(bareServer, 'bare_server', scratch) };
  const program = await compileLoad(scratch, options);
  const tls = options.tls ? await makeCertificate(scratch) : undefined;
  const machine = await machineBlock(HERE);
  const cpus = chooseCpus();
  const where = serverPlace(cpus.server);
  const load = await createLoad(options.load, { ...options, host: where.host, cpu: cpus.load, program, scratch });
  printMachine(machine, cpus.server === cpus.load && 'there is one processor only: server and load share it');
  await leaveServersAlone(cpus);
  const targets = await targetsOf(root, scratch, options);

  console.log(`Subjects, on processor ${cpus.server}; the load (${options.load}) on processor ${cpus.load}`);
  const wanted = wantedOf(subjects, options);
  const { started, failures: unstarted } = await startAll(wanted, { ...where, root, scratch, native, tls, mix: options.mix });
  const running = wanted.filter(({ name }) => started.has(name)).map((subject) => ({ ...subject, server: started.get(subject.name) }));
  const failures = [...unstarted].map(([subject, why]) => ({ subject, target: null, why }));
  failures.push(...await verifyAll(running, targets, load, progress));
  const samples = await measureAll({ subjects: running, targets, options, load, cpus, failures, progress });
  progress('');

  const results = summarize(running, targets, samples, options, failures);
  console.log(`\n${targetTables(results, targets, options)}`);
  console.log(`\n${summaryTable(results, targets, running, options)}`);
  for (const remark of remarks(results, options)) console.log(remark);
  printFailures(failures);
  const { load: loadName, connections, seconds, rounds, close, openLoop, held, mix, tls: hasTls, veth, log } = options;
  const setting = { load: loadName, connections, seconds, rounds, close, openLoop, held: held?.name, mix, tls: hasTls, veth, log };
  await writeResults(options.json, { machine, run: setting, rows: rowsOf(results, options) });
  return failures.length === 0 ? 0 : 1;
}

async function main() {
  const subjects = await loadSubjects();
  const onDemand = subjects.filter(({ isOnDemand }) => isOnDemand).map(({ name }) => name);
  const names = subjects.map(({ name }) => name);
  const secure = subjects.filter(({ speaksTls }) => speaksTls).map(({ name }) => name);
  const options = parseOptions(process.argv.slice(2), { names, onDemand, secure, ways: sendPaths.map(({ name }) => name) });
  if (options.help) console.log(HELP);
  else if (options.list) await printList(subjects);
  else return options.veth && isOutside() ? runThroughVeth() : bench(subjects, options);
  return 0;
}

await runBench('http', main, removeNamespaces);
