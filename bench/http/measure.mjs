// One measurement, and all of them in an order that lets no subject profit from its place.
import { setTimeout as delay } from 'node:timers/promises';
import { busySeconds, sampleTree, usedBetween } from '../lib/cpu.mjs';
import { sizeName } from '../lib/format.mjs';

const WARM_UP_SECONDS = 0.2;
/** Once for each subject: a JIT needs longer than the warm-up before each measurement. */
const FIRST_WARM_UP_SECONDS = 1;
/** Somebody else's share of one of the two processors from which on a measurement counts as disturbed. */
const DISTURBED_SHARE = 0.05;
const QUIET_LOOK_SECONDS = 0.4;

export const pathOf = (bytes) => `/${bytes}.bin`;

/** A subject may have paths, a check and arguments for the load of its own. */
const ask = (subject, size, load, seconds) =>
  load.run(subject.server.port, (subject.pathOf ?? pathOf)(size), seconds, subject.loadArgs);

/** Asks every subject for every size and compares every byte. Returns the failures; those pairs are not measured. */
export async function verifyAll(subjects, sizes, fileOf, load, progress) {
  const failures = [];
  for (const subject of subjects) {
    for (const size of sizes) {
      progress(`checking the answers of ${subject.name}, ${sizeName(size)}`);
      try {
        if (subject.verify !== undefined) await subject.verify(load, size);
        else await load.verify(subject.server.port, pathOf(size), fileOf(size));
      } catch (error) {
        failures.push({ subject: subject.name, size, why: error.message });
      }
    }
  }
  return failures;
}

async function measureOnce(subject, size, load, seconds, cpus) {
  const { server } = subject;
  await ask(subject, size, load, WARM_UP_SECONDS);
  const busyBefore = [cpus.server, cpus.load].map(busySeconds);
  const before = sampleTree(server.pids);
  const result = await ask(subject, size, load, seconds);
  const used = usedBetween(before, sampleTree(server.pids));
  const [busyServer, busyLoad] = [cpus.server, cpus.load].map((cpu, i) => busySeconds(cpu) - busyBefore[i]);
  if (result.errors > 0 || result.non200 > 0) {
    throw new Error(`${result.errors} lost answers, ${result.non200} with another status than 200`);
  }
  if (result.responses === 0) throw new Error('no answers');
  const others = Math.max(busyServer - used.seconds, busyLoad - result.loadCpuSeconds, 0) / result.seconds;
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
async function measure(subject, size, load, options, cpus) {
  let best = null;
  for (let attempt = 0; attempt <= options.repeats && (best?.disturbed ?? true); attempt++) {
    if (attempt > 0) await waitForQuiet(cpus, options.quietSeconds);
    const sample = await measureOnce(subject, size, load, options.seconds, cpus);
    if (best === null || sample.others < best.others) best = sample;
  }
  return best;
}

/**
 * Rounds of all sizes, in each size all subjects in rotating order. Samples of a round that is not complete for a pair
 * are kept as they are: `samples.get(subject).get(size)` is an array with one entry for each round.
 */
export async function measureAll({ subjects, options, load, cpus, failures, progress }) {
  const samples = new Map(subjects.map(({ name }) => [name, new Map(options.sizes.map((size) => [size, []]))]));
  const failed = (name, size) => failures.some((failure) => failure.subject === name && failure.size === size);
  for (const subject of subjects) {
    const { name } = subject;
    progress(`warming up ${name}`);
    const size = options.sizes.find((each) => !failed(name, each));
    if (size === undefined) continue;
    await ask(subject, size, load, Math.min(FIRST_WARM_UP_SECONDS, 2 * options.seconds)).catch(() => {}); // measuring will say it again
  }
  for (let round = 0; round < options.rounds; round++) {
    for (const size of options.sizes) {
      for (let i = 0; i < subjects.length; i++) {
        const subject = subjects[(i + round) % subjects.length];
        const { name } = subject;
        if (failed(name, size)) continue;
        progress(`round ${round + 1} of ${options.rounds}, ${sizeName(size)}, ${name}`);
        try {
          samples.get(name).get(size).push(await measure(subject, size, load, options, cpus));
        } catch (error) {
          failures.push({ subject: name, size, why: error.message });
        }
      }
    }
  }
  return samples;
}
