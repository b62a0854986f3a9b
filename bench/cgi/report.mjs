// From samples to rows and to tables.
import { fixed, grouped, median, percent, sizeName, spread, table } from '../lib/format.mjs';
import { staticOf } from './subjects.mjs';

const BUSY_LOAD_SHARE = 0.95;
export const RIVALS = { fresh: 'nginx-fastcgi-fresh', same: 'nginx-fastcgi-same' };

const METRICS = [
  ['cpu_us_per_request', 'us'],
  ['share_of_static', '1'],
  ['cpu_share_of_static', '1'],
  ['ratio_to_nginx_fastcgi', '1'],
  ['cpu_spread', '1'],
  ['requests_per_s', '1/s'],
  ['latency_p50_us', 'us'],
  ['latency_p99_us', 'us'],
  ['load_cpu_share', '1'],
  ['disturbed_runs', 'runs'],
];

/** The median of `ratio(own, other)` within each round; null without the other. */
function ratioOf(runs, others, ratio) {
  if (others === undefined || others.length !== runs.length) return null;
  return median(runs.map((run, round) => ratio(run, others[round])));
}

function figuresOf(subject, runs, samples, target) {
  const middle = (key) => median(runs.map((run) => run[key]));
  const of = (name) => samples.get(name)?.get(target.name);
  const still = of(staticOf(subject).name);
  return {
    cpu_us_per_request: middle('cpuUs'),
    share_of_static: ratioOf(runs, still, (own, other) => own.requestsPerSecond / other.requestsPerSecond),
    cpu_share_of_static: ratioOf(runs, still, (own, other) => other.cpuUs / own.cpuUs),
    ratio_to_nginx_fastcgi: ratioOf(runs, of(RIVALS[subject.row]), (own, other) => own.cpuUs / other.cpuUs),
    cpu_spread: spread(runs.map((run) => run.cpuUs)),
    requests_per_s: middle('requestsPerSecond'),
    latency_p50_us: middle('p50Us'),
    latency_p99_us: middle('p99Us'),
    load_cpu_share: middle('loadShare'),
    disturbed_runs: runs.filter((run) => run.disturbed).length,
  };
}

/** `[{ subject, size, figures }]`; a pair that failed in any round is left out. */
export function summarize(subjects, samples, targets, failures) {
  const failed = (name, target) => failures.some((failure) => failure.subject === name && failure.target === target.name);
  return targets.flatMap((target) => subjects
    .filter(({ name }) => !failed(name, target))
    .map((subject) => {
      const figures = figuresOf(subject, samples.get(subject.name).get(target.name), samples, target);
      return { subject, size: target.size, figures };
    }));
}

/** The rows of --json. */
export function rowsOf(results) {
  return results.flatMap(({ subject, size, figures }) => METRICS
    .filter(([metric]) => figures[metric] !== null)
    .map(([metric, unit]) => ({
      bench: 'cgi', case: `${sizeName(size)} ${subject.row}`, subject: subject.name, metric,
      value: Number(figures[metric].toFixed(4)), unit,
    })));
}

const ratioText = (value) => (value === null ? '-' : fixed(value, 2));

export function sizeTables(results, sizes, connections) {
  const heading = ['subject', 'us/request', 'of static', 'by CPU', 'x FastCGI', 'spread', 'requests/s', 'p50 us', 'p99 us', 'load CPU', ''];
  return sizes.map((size) => {
    const rows = results.filter((result) => result.size === size).map(({ subject, figures }) => [
      subject.name,
      fixed(figures.cpu_us_per_request, 2),
      ratioText(figures.share_of_static),
      ratioText(figures.cpu_share_of_static),
      ratioText(figures.ratio_to_nginx_fastcgi),
      percent(figures.cpu_spread),
      grouped(figures.requests_per_s),
      grouped(figures.latency_p50_us),
      grouped(figures.latency_p99_us),
      percent(figures.load_cpu_share) + (figures.load_cpu_share > BUSY_LOAD_SHARE ? '!' : ''),
      figures.disturbed_runs > 0 ? `~${figures.disturbed_runs}` : '',
    ]);
    return `${sizeName(size)} keep-alive, ${connections} connections\n${table([heading, ...rows])}`;
  }).join('\n\n');
}

/** What a reader must know about these figures, as sentences. */
export function remarks(results, { rounds }) {
  const lines = [];
  if (results.some(({ figures }) => figures.load_cpu_share > BUSY_LOAD_SHARE)) {
    lines.push('!  the load used over 95 % of its processor: shares by requests/s show its limit; those by CPU still hold');
  }
  if (results.some(({ figures }) => figures.disturbed_runs > 0)) {
    lines.push(`~N of ${rounds} rounds stayed disturbed by other work on one of the two processors`);
  }
  return lines;
}
