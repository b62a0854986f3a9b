// From samples to rows and to tables.
import { fixed, grouped, median, percent, sizeName, spread, table } from '../lib/format.mjs';

export const YARDSTICK = 'bare';
const BUSY_LOAD_SHARE = 0.95;

const METRICS = [
  ['cpu_us_per_request', 'us'],
  ['ratio_to_bare', '1'],
  ['cpu_spread', '1'],
  ['requests_per_s', '1/s'],
  ['latency_p50_us', 'us'],
  ['latency_p99_us', 'us'],
  ['load_cpu_share', '1'],
  ['kernel_kib_per_slow_reader', 'KiB'],
  ['disturbed_runs', 'runs'],
];

function caseName(size, { close, openLoop, slowReaders }) {
  return [
    `${sizeName(size)} ${close ? 'close' : 'keep-alive'}`,
    openLoop > 0 ? `open loop at ${percent(openLoop)} of its rate` : '',
    slowReaders > 0 ? `${slowReaders} slow readers` : '',
  ].filter(Boolean).join(', ');
}

/** The figures of one subject at one size: medians over the rounds; the ratio is taken within each round. */
function figuresOf(runs, yardstick, { slowReaders = 0 }) {
  const middle = (key) => median(runs.map((run) => run[key]));
  const ratios = yardstick.map((bare, round) => runs[round].cpuUs / bare.cpuUs);
  return {
    cpu_us_per_request: middle('cpuUs'),
    ratio_to_bare: ratios.length > 0 ? median(ratios) : null,
    cpu_spread: spread(runs.map((run) => run.cpuUs)),
    requests_per_s: middle('requestsPerSecond'),
    latency_p50_us: middle('p50Us'),
    latency_p99_us: middle('p99Us'),
    load_cpu_share: middle('loadShare'),
    kernel_kib_per_slow_reader: slowReaders > 0 ? middle('kernelBytes') / slowReaders / 1024 : null,
    disturbed_runs: runs.filter((run) => run.disturbed).length,
  };
}

/** `[{ subject, size, figures }]`; a pair that failed in any round is left out. */
export function summarize(samples, options, failures) {
  const { sizes } = options;
  const results = [];
  const failed = (subject, size) => failures.some((failure) => failure.subject === subject && failure.size === size);
  for (const size of sizes) {
    const yardstick = failed(YARDSTICK, size) ? [] : samples.get(YARDSTICK).get(size);
    for (const [subject, bySize] of samples) {
      if (failed(subject, size)) continue;
      results.push({ subject, size, figures: figuresOf(bySize.get(size), yardstick, options) });
    }
  }
  return results;
}

/** The rows of --json. */
export function rowsOf(results, options) {
  return results.flatMap(({ subject, size, figures }) => METRICS
    .filter(([metric]) => figures[metric] !== null)
    .map(([metric, unit]) => ({
      bench: 'http', case: caseName(size, options), subject, metric, value: Number(figures[metric].toFixed(4)), unit,
    })));
}

const ratioText = (figures) => (figures.ratio_to_bare === null ? '-' : fixed(figures.ratio_to_bare, 2));

export function sizeTables(results, options) {
  const { sizes, connections, slowReaders } = options;
  return sizes.map((size) => {
    const rows = results.filter((result) => result.size === size).map(({ subject, figures }) => [
      subject,
      fixed(figures.cpu_us_per_request, 2),
      ratioText(figures),
      percent(figures.cpu_spread),
      grouped(figures.requests_per_s),
      grouped(figures.latency_p50_us),
      grouped(figures.latency_p99_us),
      percent(figures.load_cpu_share) + (figures.load_cpu_share > BUSY_LOAD_SHARE ? '!' : ''),
      ...(slowReaders > 0 ? [fixed(figures.kernel_kib_per_slow_reader, 0)] : []),
      figures.disturbed_runs > 0 ? `~${figures.disturbed_runs}` : '',
    ]);
    const heading = ['subject', 'us/request', 'x bare', 'spread', 'requests/s', 'p50 us', 'p99 us', 'load CPU',
      ...(slowReaders > 0 ? ['kernel KiB/slow'] : []), ''];
    return `${caseName(size, options)}, ${connections} connections\n${table([heading, ...rows])}`;
  }).join('\n\n');
}

export function summaryTable(results, sizes, subjects) {
  const cell = (subject, size) => {
    const result = results.find((each) => each.subject === subject && each.size === size);
    return result ? `${fixed(result.figures.cpu_us_per_request, 1)} (${ratioText(result.figures)})` : '-';
  };
  const rows = subjects.map((subject) => [subject, ...sizes.map((size) => cell(subject, size))]);
  return `Server CPU, us per request (multiple of the bare server)\n${table([['subject', ...sizes.map(sizeName)], ...rows])}`;
}

/** What a reader must know about these figures, as sentences. */
export function remarks(results, { load, rounds }) {
  const lines = [];
  if (results.some(({ figures }) => figures.load_cpu_share > BUSY_LOAD_SHARE)) {
    lines.push('!  the load used over 95 % of its processor: requests/s and latency show its limit; CPU per request still holds');
  }
  if (results.some(({ figures }) => figures.disturbed_runs > 0)) {
    lines.push(`~N of ${rounds} rounds stayed disturbed by other work on one of the two processors, repeats included`);
  }
  if (load === 'wrk') {
    lines.push('wrk copies every byte and leaves answers unread at its end: from some 20 KB on compare with --load own');
  }
  return lines;
}
