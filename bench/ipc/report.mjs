// From samples to rows and to tables.
import { fixed, grouped, median, sizeName, table } from '../lib/format.mjs';

export const OURS = 'io-lite';
const RIVAL = 'cp-advanced';
export const ROWS = {
  again: 'the same bytes again',
  fresh: 'freshly filled',
  read: 'freshly filled, every byte read',
};

const METRICS = [
  ['round_trip_p50_us', 'us'], ['round_trip_p99_us', 'us'], ['ratio_to_io_lite', '1'], ['round_trip_cpu_us', 'us'],
  ['messages_per_s', '1/s'], ['throughput_mib_per_s', 'MiB/s'], ['cpu_us_per_message', 'us'],
];
const WAITS = ['rings', 'sleeps', 'spinsInVain'];
const WAIT_METRICS = [['rings_per_message', '1'], ['sleeps_per_message', '1'], ['spins_in_vain_per_message', '1']];
const ONE_WAY_METRICS = [['messages_per_s', '1/s'], ['cpu_us_per_message', 'us']];

/** Medians over the rounds; the ratio is taken within each round. `samples`: Map of job key to figures by round. */
export function summarize(pairs, samples) {
  const middle = (runs, key) => median(runs.map((run) => run[key]));
  const waitsOf = (runs) => Object.fromEntries(WAITS.map((key, i) => (
    [WAIT_METRICS[i][0], runs[0][key] === undefined ? null : middle(runs, key)])));
  return pairs.map(({ subject, size, row }) => {
    const of = (name, kind) => samples.get(`${name} ${size} ${row} ${kind}`);
    if (row === 'one way') {
      const runs = of(subject, 'one way');
      const figures = { messages_per_s: middle(runs, 'perSecond'), cpu_us_per_message: middle(runs, 'cpuUs'), ...waitsOf(runs) };
      return { subject, size, row, figures };
    }
    const [trips, many, ours] = [of(subject, 'trip'), of(subject, 'many'), of(OURS, 'trip')];
    return { subject, size, row, figures: {
      round_trip_p50_us: middle(trips, 'p50Us'),
      round_trip_p99_us: middle(trips, 'p99Us'),
      ratio_to_io_lite: ours ? median(trips.map((run, i) => run.p50Us / ours[i].p50Us)) : null,
      round_trip_cpu_us: middle(trips, 'cpuUs'),
      ...waitsOf(trips),
      messages_per_s: middle(many, 'perSecond'),
      throughput_mib_per_s: middle(many, 'perSecond') * size / (1 << 20),
      cpu_us_per_message: middle(many, 'cpuUs'),
    } };
  });
}

export function rowsOf(results) {
  return results.flatMap(({ subject, size, row, figures }) => [...(row === 'one way' ? ONE_WAY_METRICS : METRICS), ...WAIT_METRICS]
    .filter(([metric]) => figures[metric] !== null)
    .map(([metric, unit]) => ({
      bench: 'ipc', case: `${sizeName(size)}, ${ROWS[row] ?? row}`, subject, metric, value: Number(figures[metric].toFixed(4)), unit,
    })));
}

export function tables(results, sizes) {
  const heading = ['subject', 'p50 us', 'p99 us', 'x io-lite', 'CPU us', 'messages/s', 'MiB/s', 'CPU us each'];
  const blocks = sizes.flatMap((size) => Object.entries(ROWS).map(([row, title]) => {
    const lines = results.filter((each) => each.size === size && each.row === row).map(({ subject, figures }) => [
      subject, fixed(figures.round_trip_p50_us, 1), fixed(figures.round_trip_p99_us, 1),
      figures.ratio_to_io_lite === null ? '-' : fixed(figures.ratio_to_io_lite, 2), fixed(figures.round_trip_cpu_us, 1),
      grouped(figures.messages_per_s), grouped(figures.throughput_mib_per_s), fixed(figures.cpu_us_per_message, 1),
    ]);
    return lines.length === 0 ? null : `${sizeName(size)}, ${title}\n${table([heading, ...lines])}`;
  }));
  const ways = results.filter(({ row }) => row === 'one way').map(({ subject, figures }) => [
    subject, grouped(figures.messages_per_s), fixed(figures.cpu_us_per_message, 2)]);
  if (ways.length > 0) blocks.push(`64 B one way, no answers\n${table([['subject', 'messages/s', 'CPU us each'], ...ways])}`);
  return blocks.filter(Boolean).join('\n\n');
}

/**
 * The size from which on no rival's round trip is faster, what a large message costs beside a small one, throughput beside
 * child_process, and what spinning costs.
 */
export function remarks(results, sizes) {
  const lines = [];
  const figuresOf = (subject, size, row) => results.find((each) => (
    each.subject === subject && each.size === size && each.row === row))?.figures;
  const p50 = (subject, size, row) => figuresOf(subject, size, row)?.round_trip_p50_us;
  const [least, most] = [sizes[0], sizes.at(-1)];
  if (most > least) {
    const ratio = p50(OURS, most, 'again') / p50(OURS, least, 'again');
    lines.push(`By reference: the round trip of ${sizeName(most)} is ${fixed(ratio, 2)} times that of ${sizeName(least)}`);
  }
  for (const size of sizes.filter((each) => figuresOf(RIVAL, each, 'again') !== undefined)) {
    const [again, read] = ['again', 'read'].map((row) => (
      fixed(figuresOf(OURS, size, row).messages_per_s / figuresOf(RIVAL, size, row).messages_per_s, 1)));
    lines.push(`Throughput, ${sizeName(size)}: ${again} times ${RIVAL} by reference, ${read} times freshly filled and read`);
  }
  for (const [row, title] of Object.entries(ROWS)) {
    const isSlower = (size) => results.some((each) => each.size === size && each.row === row &&
      !each.subject.startsWith(OURS) && each.figures.round_trip_p50_us < p50(OURS, size, row));
    const slower = sizes.filter(isSlower);
    const from = sizes.find((size) => slower.every((other) => other < size));
    const where = slower.length === 0 ? 'at no size that was measured'
      : from === undefined ? 'up to the largest size' : `at some size below ${sizeName(from)}, at none from there on`;
    lines.push(`Crossover, ${title}: a rival's round trip is faster ${where}`);
  }
  for (const { subject, row, size, figures } of results) {
    if (figures.sleeps_per_message === null || size > 64 || !['again', 'one way'].includes(row)) continue;
    const [rings, sleeps, spins] = WAIT_METRICS.map(([metric]) => fixed(figures[metric], 4));
    const cpu = fixed(figures.round_trip_cpu_us ?? figures.cpu_us_per_message, 2);
    const what = row === 'one way' ? 'one way' : `round trip, ${fixed(figures.round_trip_p50_us, 1)} us`;
    lines.push(`Spinning, ${subject}, ${sizeName(size)} ${what}: a message has ${cpu} us of CPU, ${spins} spins in vain, ${sleeps} sleeps, ${rings} rings`);
  }
  return lines;
}
