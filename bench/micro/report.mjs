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
