// From samples to rows and to tables.
import { fixed, grouped, median, percent, spread, table } from '../lib/format.mjs';

const YARDSTICK = 'bare';
const RIVAL = 'nginx';
/** There is no bare server with TLS. */
export const yardstickOf = ({ tls }) => (tls ? RIVAL : YARDSTICK);
const BUSY_LOAD_SHARE = 0.95;

const METRICS = [
  ['cpu_us_per_request', 'us'],
  ['ratio_to_bare', '1'],
  ['ratio_to_nginx', '1'],
  ['ratio_to_no_log', '1'],
  ['ratio_to_alone', '1'],
  ['cpu_spread', '1'],
  ['requests_per_s', '1/s'],
  ['latency_p50_us', 'us'],
  ['latency_p99_us', 'us'],
  ['latency_p99_ratio_to_nginx', '1'],
  ['load_cpu_share', '1'],
  ['server_kib_per_connection', 'KiB'],
  ['sockets_kib_per_connection', 'KiB'],
  ['slab_kib_per_connection', 'KiB'],
  ['disturbed_runs', 'runs'],
];

function caseName(target, { close, openLoop, held, tls, veth }) {
  return [
    `${target.name} ${close ? 'close' : 'keep-alive'}`,
    openLoop > 0 ? `open loop at ${percent(openLoop)} of its rate` : '',
    held ? `${held.name}` : '',
    tls ? 'TLS' : '',
    veth ? 'veth' : '',
  ].filter(Boolean).join(', ');
}

/** The median of `own[key] / other[key]` within each round; null without the other. */
function ratioOf(runs, others, key) {
  if (!others || others.length !== runs.length || runs.length === 0) return null;
  return median(runs.map((run, round) => run[key] / others[round][key]));
}

/** The figures of one subject: medians over the rounds; ratios are taken within each round. */
function figuresOf(subject, runs, samplesOf, { openLoop, held }) {
  const middle = (key) => median(runs.map((run) => run[key]));
  const kib = (kind) => (held ? median(runs.map(({ memory }) => memory[kind])) / 1024 : null);
  return {
    cpu_us_per_request: middle('cpuUs'),
    ratio_to_bare: ratioOf(runs, samplesOf(YARDSTICK), 'cpuUs'),
    ratio_to_nginx: ratioOf(runs, samplesOf(RIVAL), 'cpuUs'),
    ratio_to_no_log: subject.hasLog ? ratioOf(runs, samplesOf(subject.base), 'cpuUs') : null,
    ratio_to_alone: held ? median(runs.map(({ cpuUs, aloneCpuUs }) => cpuUs / aloneCpuUs)) : null,
    cpu_spread: spread(runs.map((run) => run.cpuUs)),
    requests_per_s: middle('requestsPerSecond'),
    latency_p50_us: middle('p50Us'),
    latency_p99_us: middle('p99Us'),
    latency_p99_ratio_to_nginx: openLoop > 0 ? ratioOf(runs, samplesOf(RIVAL), 'p99Us') : null,
    load_cpu_share: middle('loadShare'),
    server_kib_per_connection: kib('server'),
    sockets_kib_per_connection: kib('sockets'),
    slab_kib_per_connection: kib('slab'),
    disturbed_runs: runs.filter((run) => run.disturbed).length,
  };
}

/** `[{ subject, target, figures }]`; a pair that failed in any round is left out. */
export function summarize(subjects, targets, samples, options, failures) {
  const hasFailed = (name, target) =>
    failures.some((failure) => failure.subject === name && failure.target === target.name);
  return targets.flatMap((target) => {
    const samplesOf = (name) => (hasFailed(name, target) ? undefined : samples.get(name)?.get(target.name));
    return subjects.filter(({ name }) => !hasFailed(name, target)).map((subject) => (
      { subject: subject.name, target, figures: figuresOf(subject, samplesOf(subject.name), samplesOf, options) }));
  });
}

/** The rows of --json. */
export function rowsOf(results, options) {
  return results.flatMap(({ subject, target, figures }) => METRICS
    .filter(([metric]) => figures[metric] !== null)
    .map(([metric, unit]) => ({
      bench: 'http', case: caseName(target, options), subject, metric, value: Number(figures[metric].toFixed(4)), unit,
    })));
}

const ratioText = (value) => (value === null ? '-' : fixed(value, 2));

/** Headings, and what stands below them. */
function columnsOf({ log, held, openLoop, tls }) {
  return [
    ['us/request', (figures) => fixed(figures.cpu_us_per_request, 2)],
    ...(tls ? [] : [['x bare', (figures) => ratioText(figures.ratio_to_bare)]]),
    ['x nginx', (figures) => ratioText(figures.ratio_to_nginx)],
    ...(log ? [['x no log', (figures) => ratioText(figures.ratio_to_no_log)]] : []),
    ...(held ? [['x alone', (figures) => ratioText(figures.ratio_to_alone)]] : []),
    ['spread', (figures) => percent(figures.cpu_spread)],
    ['requests/s', (figures) => grouped(figures.requests_per_s)],
    ['p50 us', (figures) => grouped(figures.latency_p50_us)],
    ['p99 us', (figures) => grouped(figures.latency_p99_us)],
    ...(openLoop > 0 ? [['p99 x nginx', (figures) => ratioText(figures.latency_p99_ratio_to_nginx)]] : []),
    ['load CPU', (figures) => percent(figures.load_cpu_share) + (figures.load_cpu_share > BUSY_LOAD_SHARE ? '!' : '')],
    ...(held ? [
      ['KiB each: server', (figures) => fixed(figures.server_kib_per_connection, 1)],
      ['sockets', (figures) => fixed(figures.sockets_kib_per_connection, 1)],
      ['slab', (figures) => fixed(figures.slab_kib_per_connection, 1)],
    ] : []),
    ['', (figures) => (figures.disturbed_runs > 0 ? `~${figures.disturbed_runs}` : '')],
  ];
}

export function targetTables(results, targets, options) {
  const columns = columnsOf(options);
  return targets.map((target) => {
    const rows = results.filter((result) => result.target === target)
      .map(({ subject, figures }) => [subject, ...columns.map(([, text]) => text(figures))]);
    const heading = ['subject', ...columns.map(([name]) => name)];
    return `${caseName(target, options)}, ${options.connections} connections\n${table([heading, ...rows])}`;
  }).join('\n\n');
}

export function summaryTable(results, targets, subjects, { tls }) {
  const [yardstick, key] = tls ? ['nginx', 'ratio_to_nginx'] : ['the bare server', 'ratio_to_bare'];
  const cell = ({ name }, target) => {
    const result = results.find((each) => each.subject === name && each.target === target);
    return result ? `${fixed(result.figures.cpu_us_per_request, 1)} (${ratioText(result.figures[key])})` : '-';
  };
  const rows = subjects.map((subject) => [subject.name, ...targets.map((target) => cell(subject, target))]);
  return `Server CPU, us per request (multiple of ${yardstick})\n${table([['subject', ...targets.map(({ name }) => name)], ...rows])}`;
}

/** What a reader must know about these figures, as sentences. */
export function remarks(results, { load, rounds, tls, close }) {
  const lines = [];
  if (tls) {
    lines.push(`TLS 1.3, TLS_AES_128_GCM_SHA256, X25519, ECDSA P-256; ${close ? 'a full handshake for each request' :
      'handshakes come before what is measured'}; there is no bare server with TLS: the yardstick is nginx`);
  }
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
