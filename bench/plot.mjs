// Turns the JSON of a bench into one SVG chart: cases from left to right, one line for each subject, a logarithmic scale.
import { readFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';

const HELP = `node bench/plot.mjs RESULTS.json [--metric ratio_to_bare] [--out RESULTS.svg]`;
const WIDTH = 760;
const HEIGHT = 440;
const AREA = { left: 64, right: 600, top: 48, bottom: 390 };
const COLORS = ['#1b6ca8', '#d1495b', '#2e8b57', '#e08e0b', '#6a4c93', '#5c6b73', '#00798c', '#8d5524'];
const STEPS = [1, 2, 5];
const LABEL_GAP = 14;

const escape = (text) => String(text).replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]);

/** `[{ subject, values: Map(case, value) }]` and the cases, both in the order of the rows. */
function seriesOf(rows) {
  const cases = [...new Set(rows.map((row) => row.case))];
  const subjects = [...new Set(rows.map((row) => row.subject))];
  return {
    cases,
    series: subjects.map((subject) => ({
      subject,
      values: new Map(rows.filter((row) => row.subject === subject).map((row) => [row.case, row.value])),
    })),
  };
}

/** 1, 2, 5, 10, … around the values: the grid is part of the scale, so every value lies between two lines. */
function gridOf(values) {
  const lines = [];
  for (let power = -6; power <= 12; power++) for (const step of STEPS) lines.push(step * 10 ** power);
  const first = lines.findLastIndex((line) => line <= Math.min(...values));
  const last = lines.findIndex((line) => line >= Math.max(...values));
  return lines.slice(first, Math.max(last, first + 1) + 1);
}

/** Moves labels apart that would lie on each other; keeps their order. */
function spreadLabels(labels) {
  const sorted = [...labels].sort((a, b) => a.y - b.y);
  for (let i = 1; i < sorted.length; i++) sorted[i].y = Math.max(sorted[i].y, sorted[i - 1].y + LABEL_GAP);
  return sorted;
}

function chart(rows, title, unit, note) {
  const { cases, series } = seriesOf(rows);
  const grid = gridOf(rows.map((row) => row.value));
  const [low, high] = [Math.log(grid[0]), Math.log(grid.at(-1))];
  const x = (i) => AREA.left + ((i + 0.5) * (AREA.right - AREA.left)) / cases.length;
  const y = (value) => AREA.bottom - ((Math.log(value) - low) / (high - low)) * (AREA.bottom - AREA.top);
  const text = (px, py, anchor, content, more = '') =>
    `<text x="${px.toFixed(1)}" y="${py.toFixed(1)}" text-anchor="${anchor}" ${more}>${escape(content)}</text>`;
  const parts = [text(16, 24, 'start', `${title}${unit === '1' ? '' : `, ${unit}`}`, 'font-size="15" font-weight="bold"')];
  for (const line of grid) {
    parts.push(`<path d="M${AREA.left} ${y(line).toFixed(1)}H${AREA.right}" stroke="#ddd"/>`);
    parts.push(text(AREA.left - 8, y(line) + 4, 'end', Number(line.toPrecision(1)).toLocaleString('en-US')));
  }
  cases.forEach((name, i) => parts.push(text(x(i), AREA.bottom + 18, 'middle', name.replace(' keep-alive', ''))));
  const labels = series.map(({ subject, values }, i) => {
    const color = COLORS[i % COLORS.length];
    const points = cases.flatMap((name, at) => (values.has(name) ? [[x(at), y(values.get(name))]] : []));
    const line = points.map(([px, py]) => `${px.toFixed(1)},${py.toFixed(1)}`).join(' ');
    parts.push(`<polyline points="${line}" fill="none" stroke="${color}" stroke-width="2"/>`);
    for (const [px, py] of points) parts.push(`<circle cx="${px.toFixed(1)}" cy="${py.toFixed(1)}" r="3" fill="${color}"/>`);
    return { subject, color, y: points.at(-1)[1] + 4 };
  });
  for (const label of spreadLabels(labels)) {
    parts.push(text(AREA.right + 8, label.y, 'start', label.subject, `fill="${label.color}"`));
  }
  parts.push(text(16, HEIGHT - 12, 'start', note, 'fill="#666" font-size="11"'));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#fff"/>
${parts.join('\n')}
</svg>
`;
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { metric: { type: 'string', default: 'ratio_to_bare' }, out: { type: 'string' } },
  });
  if (positionals.length !== 1) throw new Error(`one file of results is needed\n${HELP}`);
  const [file] = positionals;
  const { machine, rows } = JSON.parse(await readFile(file, 'utf8'));
  const metrics = [...new Set(rows.map((row) => row.metric))];
  const chosen = rows.filter((row) => row.metric === values.metric && row.value > 0);
  if (chosen.length === 0) throw new Error(`no values of '${values.metric}' in ${file}; it has ${metrics.join(', ')}`);
  const out = values.out ?? `${file.replace(/\.json$/, '')}.svg`;
  const note = `${machine.cpu}, ${machine.kernel}, Node ${machine.node}, commit ${machine.commit}, ${machine.date.slice(0, 10)}`;
  await writeFile(out, chart(chosen, `${chosen[0].bench}: ${values.metric}`, chosen[0].unit, note));
  console.log(out);
}

try {
  await main();
} catch (error) {
  console.error(`plot: ${error.message}`);
  process.exitCode = 2;
}
