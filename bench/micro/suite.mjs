// One suite of micro-benchmarks, in the process that runs its file: verifies, measures, reports.
//
// A case is `{ name, ops }`; `ops` holds a function for each subject, `io-lite` and its rivals. All do the same useful
// work and return its result, from which it is seen that they do. Releasing the result is part of the work.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { median, spread } from '../lib/format.mjs';
import { Benchmark, iolite } from './packages.mjs';

// Benchmark.js would otherwise inline a function's text, away from the variables it uses.
Benchmark.support.decompilation = false;

const FULL = { rounds: 5, minTime: 0.02, maxTime: 0.2, minSamples: 5 };
const QUICK = { rounds: 3, minTime: 0.004, maxTime: 0.02, minSamples: 3 };
const OURS = 'io-lite';
const COUNTED_RUNS = 16;

/** Keeps results alive, so that no engine leaves the work out. */
let sink;

const isOurs = (value) => value instanceof iolite.Aggregate || value instanceof iolite.IolBuffer;

function release(value) {
  if (isOurs(value)) value.dispose();
  else if (Array.isArray(value)) value.forEach(release);
}

/** A result in a form in which those of all subjects can be compared. */
function plain(value) {
  if (isOurs(value)) return value.toBuffer().toString('latin1');
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('latin1');
  if (typeof value?.slice === 'function' && typeof value !== 'string') return plain(value.slice());
  return value;
}

async function verify({ name, ops }) {
  let first;
  for (const [subject, op] of Object.entries(ops)) {
    const result = await op();
    const shown = JSON.stringify(plain(result)) ?? 'undefined';
    release(result);
    first ??= { subject, shown };
    if (shown === first.shown) continue;
    throw new Error(`${name}: ${subject} and ${first.subject} give different results`);
  }
}

const copiedBytes = () =>
  Object.values(iolite.stats().copies).reduce((sum, { bytes }) => sum + bytes, 0);

async function copiedPerOp(op) {
  const before = copiedBytes();
  for (let i = 0; i < COUNTED_RUNS; i++) release(await op());
  return (copiedBytes() - before) / COUNTED_RUNS;
}

/** One subject, ready to be measured again and again: what runs hot once stays compiled. */
function subjectOf([name, op]) {
  const isAsync = op.constructor.name === 'AsyncFunction';
  const timed = isAsync
    ? (deferred) => op().then((result) => { release(result); deferred.resolve(); }, (error) => { throw error; })
    : () => { release(sink = op()); };
  return { name, isAsync, timed, samples: [] };
}

/** Operations per second, by one run of benchmark.js. */
function measureByClock({ isAsync, timed }, times) {
  return new Promise((resolve, reject) => {
    new Benchmark({
      fn: timed,
      defer: isAsync,
      ...times,
      onComplete: ({ target }) => (target.error ? reject(target.error) : resolve(target.hz)),
    }).run();
  });
}

/**
 * The same, of what waits for nothing per second of this process's processor time: the clock also runs while somebody
 * else has the processor.
 */
async function measure(subject, times) {
  const started = process.hrtime.bigint();
  const cpuBefore = process.cpuUsage();
  const hz = await measureByClock(subject, times);
  if (subject.isAsync) return hz;
  const { user, system } = process.cpuUsage(cpuBefore);
  return (hz * Number(process.hrtime.bigint() - started)) / 1e3 / (user + system);
}

/** All subjects in turn, round by round, the first one another each time; a first round is not counted. */
async function measureCase({ ops }, { rounds, ...times }) {
  const subjects = Object.entries(ops).map(subjectOf);
  globalThis.gc?.();
  for (let round = -1; round < rounds; round++) {
    for (let i = 0; i < subjects.length; i++) {
      const subject = subjects[(i + round + 1) % subjects.length];
      const hz = await measure(subject, times);
      if (round >= 0) subject.samples.push(hz);
    }
  }
  return new Map(subjects.map(({ name, samples }) => [name, samples]));
}

function rowsOf(bench, name, samples, copied) {
  const row = (subject, metric, value, unit) => ({
    bench, case: name, subject, metric, value: Number(value.toPrecision(6)), unit,
  });
  const rows = [];
  for (const [subject, hz] of samples) {
    rows.push(row(subject, 'ops/s', median(hz), '1/s'), row(subject, 'ops_spread', spread(hz), '1'));
  }
  rows.push(row(OURS, 'bytes_copied_per_op', copied, 'B'));
  const rivals = [...samples].filter(([subject]) => subject !== OURS).map(([, hz]) => hz);
  if (rivals.length > 0) {
    const ratios = samples.get(OURS).map((hz, round) => hz / Math.max(...rivals.map((each) => each[round])));
    rows.push(row(OURS, 'ratio_to_best_rival', median(ratios), '1'));
  }
  return rows;
}

/** Measures `cases` as the command line of this process says and writes `{ rows }` to `--rows FILE`. */
export async function suite(bench, cases) {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false }, case: { type: 'string', default: '' }, rows: { type: 'string' },
    },
  });
  const wanted = cases.filter(({ name }) => name.includes(values.case));
  const rows = [];
  for (const [index, each] of wanted.entries()) {
    process.stderr.write(`  ${bench} ${index + 1}/${wanted.length}: ${each.name}\n`);
    const ops = Object.fromEntries(Object.entries(each.ops).filter(([, op]) => op));
    await verify({ name: each.name, ops });
    const copied = await copiedPerOp(ops[OURS]);
    const samples = await measureCase({ ops }, values.quick ? QUICK : FULL);
    rows.push(...rowsOf(bench, each.name, samples, copied));
  }
  writeFileSync(values.rows ?? '/dev/stdout', JSON.stringify({ rows }));
}
