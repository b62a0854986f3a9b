// One measurement, and all of them in an order that lets no subject profit from its place.
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { busySeconds, sampleTree, usedBetween } from '../lib/cpu.mjs';
import { sizeName } from '../lib/format.mjs';

const WARM_UP_SECONDS = 0.2;
/** Once for each subject: a JIT needs longer than the warm-up before each measurement. */
const FIRST_WARM_UP_SECONDS = 1;
/** Somebody else's share of one of the two processors from which on a measurement counts as disturbed. */
const DISTURBED_SHARE = 0.05;
const QUIET_LOOK_SECONDS = 0.4;
/** For what slow readers have asked for to fill their sockets. */
const SLOW_SETTLE_MS = 500;

export const pathOf = (bytes) => `/${bytes}.bin`;

/** A subject may have paths, a check and arguments for the load of its own. `rate`: an open loop of so many requests a second. */
const ask = (subject, size, load, seconds, rate = 0) => load.run(
  subject.server.port, (subject.pathOf ?? pathOf)(size), seconds,
  [...(subject.loadArgs ?? []), ...(rate > 0 ? ['--rate', String(rate)] : [])]);

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

/** Bytes that the kernel keeps for TCP sockets, all of the machine's. */
function socketBytes() {
  return Number(/^TCP:.* mem (\d+)/m.exec(readFileSync('/proc/net/sockstat', 'utf8'))[1]) * 4096;
}

/** The same beside slow readers, if there are to be any. */
async function measureBeside(subject, size, load, options, cpus) {
  const before = socketBytes();
  const slow = await load.hold(subject.server.port);
  if (slow === undefined) return measureOnce(subject, size, load, options, cpus);
  try {
    await delay(SLOW_SETTLE_MS);
    const kernelBytes = socketBytes() - before;
    return { ...await measureOnce(subject, size, load, options, cpus), kernelBytes };
  } finally {
    await slow.stop();
  }
}

async function measureOnce(subject, size, load, options, cpus) {
  const { seconds, openLoop = 0 } = options;
  const { server } = subject;
  const warm = await ask(subject, size, load, WARM_UP_SECONDS);
  const rate = openLoop * (warm.responses / warm.seconds);
  const busyBefore = [cpus.server, cpus.load].map(busySeconds);
  const before = sampleTree(server.pids);
  const result = await ask(subject, size, load, seconds, rate);
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
    const sample = await measureBeside(subject, size, load, options, cpus);
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
