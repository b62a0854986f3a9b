// One measurement, and all of them in an order that lets no subject profit from its place.
import { setTimeout as delay } from 'node:timers/promises';
import { busySeconds, sampleTree, usedBetween } from '../lib/cpu.mjs';
import { memoryBetween, memoryOf } from './held.mjs';

const WARM_UP_SECONDS = 0.2;
/** Once for each subject: a JIT needs longer than the warm-up before each measurement. */
const FIRST_WARM_UP_SECONDS = 1;
/** Somebody else's share of one of the two processors from which on a measurement counts as disturbed. */
const DISTURBED_SHARE = 0.05;
const QUIET_LOOK_SECONDS = 0.4;
/** For what held connections have asked for to fill their sockets. */
const SETTLE_MS = 500;

/** `rate`: an open loop of so many requests a second. */
const ask = (subject, target, load, seconds, { rate = 0, onBegun } = {}) => load.run(
  subject.server.port, [...target.argsOf(subject), ...(rate > 0 ? ['--rate', String(rate)] : [])], seconds, onBegun);

/** Asks every subject for every target and compares every byte. Returns the failures; those pairs are not measured. */
export async function verifyAll(subjects, targets, load, progress) {
  const failures = [];
  for (const subject of subjects) {
    for (const target of targets) {
      progress(`checking the answers of ${subject.name}, ${target.name}`);
      try {
        await target.verify(subject, load);
      } catch (error) {
        failures.push({ subject: subject.name, target: target.name, why: error.message });
      }
    }
  }
  return failures;
}

/** Without connections that are held, and then beside them, if there are to be any. */
async function measureBeside(subject, target, load, options, cpus) {
  const alone = await measureOnce(subject, target, load, options, cpus, []);
  if (!options.held) return alone;
  const { server } = subject;
  const before = memoryOf(server.pids);
  const holder = await load.hold(server.port, options.held);
  try {
    await delay(SETTLE_MS);
    const memory = memoryBetween(before, memoryOf(server.pids), options.held.count);
    const beside = await measureOnce(subject, target, load, options, cpus, holder.pids);
    return { ...beside, memory, aloneCpuUs: alone.cpuUs, others: Math.max(alone.others, beside.others), disturbed: alone.disturbed || beside.disturbed };
  } finally {
    await holder.stop();
  }
}

async function measureOnce(subject, target, load, { seconds, openLoop = 0 }, cpus, holders) {
  const { server } = subject;
  const warm = await ask(subject, target, load, WARM_UP_SECONDS);
  const rate = openLoop * (warm.responses / warm.seconds);
  const look = () => ({
    busy: [cpus.server, cpus.load].map(busySeconds), server: sampleTree(server.pids), held: sampleTree(holders),
  });
  let before = look();
  const result = await ask(subject, target, load, seconds, { rate, onBegun: () => { before = look(); } });
  const used = usedBetween(before.server, sampleTree(server.pids));
  const loadSeconds = result.loadCpuSeconds + usedBetween(before.held, sampleTree(holders)).seconds;
  const [busyServer, busyLoad] = [cpus.server, cpus.load].map((cpu, i) => busySeconds(cpu) - before.busy[i]);
  if (result.errors > 0 || result.wrongStatus > 0) {
    throw new Error(`${result.errors} lost answers, ${result.wrongStatus} with a wrong status`);
  }
  if (result.responses === 0) throw new Error('no answers');
  const others = Math.max(busyServer - used.seconds, busyLoad - loadSeconds, 0) / result.seconds;
  return {
    cpuUs: (used.seconds / result.responses) * 1e6,
    requestsPerSecond: result.responses / result.seconds,
    p50Us: result.p50Us,
    p99Us: result.p99Us,
    loadShare: result.loadCpuSeconds / result.seconds,
    others,
    disturbed: others > DISTURBED_SHARE || used.lost > 0,
  };
}

/** Waits until both processors were idle for a moment, but not for ever. */
async function waitForQuiet(cpus, longestSeconds) {
  const look = () => [cpus.server, cpus.load].map(busySeconds);
  for (let waited = 0; waited < longestSeconds; waited += QUIET_LOOK_SECONDS) {
    const before = look();
    await delay(QUIET_LOOK_SECONDS * 1000);
    if (look().every((busy, i) => busy - before[i] <= DISTURBED_SHARE * QUIET_LOOK_SECONDS)) return;
  }
}

/** Repeats a disturbed measurement and keeps the least disturbed one. */
async function measure(subject, target, load, options, cpus) {
  let best = null;
  for (let attempt = 0; attempt <= options.repeats && (best?.disturbed ?? true); attempt++) {
    if (attempt > 0) await waitForQuiet(cpus, options.quietSeconds);
    const sample = await measureBeside(subject, target, load, options, cpus);
    if (best === null || sample.others < best.others) best = sample;
  }
  return best;
}

/**
 * Rounds of all targets, in each of them all subjects in rotating order. `options`: `rounds`, `seconds`, `repeats`,
 * `quietSeconds`, `openLoop`, `held`. Samples of a round that is not complete for a pair are kept as they are:
 * `samples.get(subject).get(target)`, by their names, is an array with one entry for each round.
 */
export async function measureAll({ subjects, targets, options, load, cpus, failures, progress }) {
  const samples = new Map(subjects.map(({ name }) => [name, new Map(targets.map((target) => [target.name, []]))]));
  const hasFailed = (subject, target) =>
    failures.some((failure) => failure.subject === subject.name && failure.target === target.name);
  for (const subject of subjects) {
    progress(`warming up ${subject.name}`);
    const target = targets.find((each) => !hasFailed(subject, each));
    if (target === undefined) continue;
    await ask(subject, target, load, Math.min(FIRST_WARM_UP_SECONDS, 2 * options.seconds)).catch(() => {}); // measuring will say it again
  }
  for (let round = 0; round < options.rounds; round++) {
    for (const target of targets) {
      for (let i = 0; i < subjects.length; i++) {
        const subject = subjects[(i + round) % subjects.length];
        if (hasFailed(subject, target)) continue;
        progress(`round ${round + 1} of ${options.rounds}, ${target.name}, ${subject.name}`);
        try {
          samples.get(subject.name).get(target.name).push(await measure(subject, target, load, options, cpus));
        } catch (error) {
          failures.push({ subject: subject.name, target: target.name, why: error.message });
        }
      }
    }
  }
  return samples;
}

/** What went wrong, for the reader of the tables. */
export function printFailures(failures) {
  for (const { subject, target, why } of failures) {
    console.log(`FAILED ${subject}${target === null ? '' : `, ${target}`}: ${why}`);
  }
}
