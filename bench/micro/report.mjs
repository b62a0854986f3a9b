// From rows to tables.
import { grouped, table } from '../lib/format.mjs';

const OURS = 'io-lite';

function scaled(perSecond) {
  return perSecond >= 100 ? grouped(perSecond) : perSecond.toPrecision(3);
}

/** How many times as fast as a rival. */
const ratio = (value) => `${value >= 100 ? grouped(value) : value.toPrecision(2)}x`;

function by(rows, metric) {
  const found = new Map();
  for (const row of rows) {
    if (row.metric !== metric) continue;
    if (!found.has(row.case)) found.set(row.case, new Map());
    found.get(row.case).set(row.subject, row.value);
  }
  return found;
}

/** Operations a second: a line for each case, a column for each subject, our ratio to the best of the others. */
function rateTable(bench, rows) {
  const rates = by(rows, 'ops/s');
  const copied = by(rows, 'bytes_copied_per_op');
  const best = by(rows, 'ratio_to_best_rival');
  const subjects = [...new Set([...rates.values()].flatMap((values) => [...values.keys()]))];
  const rivals = subjects.filter((subject) => subject !== OURS);
  const isAgainstBl = rivals.includes('bl');
  const heading = [
    `${bench}: operations/s`, OURS, ...rivals, ...(isAgainstBl ? ['x bl'] : []), 'x best', 'bytes copied',
  ];
  const lines = [...rates].map(([name, values]) => {
    const ours = values.get(OURS);
    const cell = (subject) => (values.has(subject) ? scaled(values.get(subject)) : '-');
    const againstBl = values.has('bl') ? ratio(ours / values.get('bl')) : '-';
    const againstBest = best.get(name)?.get(OURS);
    return [
      name, cell(OURS), ...rivals.map(cell), ...(isAgainstBl ? [againstBl] : []),
      againstBest === undefined ? '-' : ratio(againstBest), grouped(copied.get(name)?.get(OURS) ?? 0),
    ];
  });
  return table([heading, ...lines]);
}

/** What has other measures than a rate: a line for each case and subject. */
function plainTable(bench, rows) {
  return table([
    [bench, 'subject', 'metric', 'value', 'unit'],
    ...rows.map((row) => [row.case, row.subject, row.metric, scaled(row.value), row.unit]),
  ]);
}

export function tableOf(bench, rows) {
  const isRate = rows.some((row) => row.metric === 'ratio_to_best_rival');
  return (isRate ? rateTable : plainTable)(bench, rows);
}

/** Every rate below a rival's, and every cost above one's, the worst first: a line for each case and rival. */
export function slowerTable(rows) {
  const found = [];
  const compare = (metric, ratioOf, shown) => {
    const suites = new Map();
    for (const row of rows.filter((each) => each.metric === metric)) {
      const key = `${row.bench}: ${row.case}`;
      suites.set(key, [...(suites.get(key) ?? []), row]);
    }
    for (const [name, values] of suites) {
      const ours = values.find(({ subject }) => subject === OURS);
      for (const { subject, value } of values) {
        if (ours === undefined || subject.startsWith(OURS)) continue;
        const times = ratioOf(ours.value, value);
        if (times < 1) found.push({ times, cells: [name, subject, shown(ours.value), shown(value), ratio(times)] });
      }
    }
  };
  compare('ops/s', (ours, rivals) => ours / rivals, scaled);
  compare('cpu_ms_per_gib', (ours, rivals) => rivals / ours, (value) => `${scaled(value)} ms`);
  if (found.length === 0) return 'Slower than a rival: nothing that was measured.';
  const lines = found.sort((a, b) => a.times - b.times).map(({ cells }) => cells);
  return table([['Slower than a rival, worst first', 'rival', OURS, 'the rival', 'x'], ...lines]);
}
