// The page at /.flash-lite/: asks /.flash-lite/status once a second and draws what has changed.
// Nothing in it comes from elsewhere; texts of the server become text nodes, never markup.

import { createHash } from 'node:crypto';

const kStyle = `
:root {
  color-scheme: light dark;
  --ground: #f4f5f7; --card: #fff; --line: #e2e5ea; --text: #1a1f27; --faint: #626b78;
  --blue: #2563eb; --teal: #0d8a7c; --amber: #b45309; --red: #c8283c; --violet: #7140d8;
  --track: #e8ebf0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #0e1116; --card: #171b22; --line: #272d37; --text: #e8ebf0; --faint: #959eac;
    --blue: #6ea3ff; --teal: #3cc9b5; --amber: #f0a848; --red: #ff7583; --violet: #b394ff;
    --track: #262c36;
  }
}
* { box-sizing: border-box }
body {
  margin: 0 auto; max-width: 76rem; padding: 1.5rem 1rem 2rem;
  background: var(--ground); color: var(--text);
  font: 15px/1.45 system-ui, sans-serif; font-variant-numeric: tabular-nums;
}
header, footer { display: flex; flex-wrap: wrap; align-items: baseline; gap: .25rem 1rem }
header { margin-bottom: 1.25rem }
h1 { font-size: 1.35rem; margin: 0; letter-spacing: -.01em }
h2 { font-size: .8rem; font-weight: 600; margin: 0; color: var(--faint) }
#state { margin-left: auto }
#state::before {
  content: ""; display: inline-block; width: .55em; height: .55em; border-radius: 50%;
  margin-right: .5em; background: var(--faint);
}
#state.live::before { background: var(--teal) }
#state.lost { color: var(--red) }
#state.lost::before { background: var(--red) }
main { display: grid; gap: .85rem; grid-template-columns: repeat(12, minmax(0, 1fr)) }
section {
  grid-column: span 4; display: flex; flex-direction: column; padding: .9rem 1rem;
  background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
}
section[hidden] { display: none }
.chart { grid-column: span 3; --ink: var(--blue); padding-bottom: 0; overflow: hidden }
#sent { --ink: var(--violet) } #copied { --ink: var(--amber) } #open { --ink: var(--teal) }
.big { margin: .1rem 0 0; font-size: 1.75rem; font-weight: 600; letter-spacing: -.02em; white-space: nowrap }
.big small { font-size: .85rem; font-weight: 400; letter-spacing: 0; color: var(--faint) }
.note, footer, header span { color: var(--faint); font-size: .85rem; margin: 0 }
table + .note { margin-top: .5rem; padding-top: .4rem; border-top: 1px solid var(--line) }
.share { margin: .35rem 0 0 }
svg { display: block; width: calc(100% + 2rem); height: 3.25rem; margin: auto -1rem 0; padding-top: .5rem; flex: none }
svg path { fill: none; stroke: var(--ink); stroke-width: 1.5; vector-effect: non-scaling-stroke; stroke-linejoin: round }
svg path:first-child { fill: var(--ink); opacity: .14; stroke: none }
table { width: 100%; border-collapse: collapse; margin-top: .5rem; font-size: .9rem }
th { font-weight: 400; text-align: left; color: var(--faint) }
thead th { font-size: .78rem }
td, thead th:nth-child(n+2) { text-align: right; white-space: nowrap }
th, td { padding: .2rem 0 .2rem .75rem }
th:first-child { padding-left: 0; overflow-wrap: anywhere }
tbody tr { border-top: 1px solid var(--line) }
.idle td { color: var(--faint) }
.bar { display: flex; height: .55rem; margin: .6rem 0 .15rem; border-radius: .3rem; overflow: hidden; background: var(--track) }
.bar i { flex: 0 0 auto; width: 0 }
.full { background: var(--blue) }
.c2 { background: var(--teal) } .c3 { background: var(--blue) } .c4 { background: var(--amber) } .c5 { background: var(--red) } .c1 { background: var(--violet) }
th .dot { display: inline-block; width: .6em; height: .6em; border-radius: 2px; margin-right: .5em }
footer { margin-top: 1.25rem }
a { color: var(--blue) }
@media (max-width: 62rem) { .chart, section { grid-column: span 6 } }
@media (max-width: 38rem) {
  section { grid-column: 1 / -1 } .chart { grid-column: span 6 } .big { font-size: 1.35rem }
  #state { margin-left: 0 }
}
`;

const kScript = String.raw`
'use strict';
const seconds = 60;
const find = (id) => document.getElementById(id);

function scaled(value, base, units) {
  let i = 0;
  for (; value >= 999.5 && i < units.length - 1; i++) value /= base;
  const digits = value >= 99.5 || Number.isInteger(value) ? 0 : value >= 9.95 ? 1 : 2;
  return [value.toFixed(digits), units[i]];
}
const countOf = (value) => scaled(value, 1000, ['', 'k', 'M', 'G', 'T']).join('');
const bytesOf = (value) => scaled(value, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB']).join(' ');
const shareOf = (part, all) => (all > 0 ? Math.min(100, 100 * part / all) : 0);
const percentOf = (part, all) => (all > 0 ? shareOf(part, all).toFixed(part > 0 && part < all ? 1 : 0) + ' %' : '–');

function spanOf(total) {
  const units = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
  const i = Math.max(0, units.findIndex(([size]) => total >= size));
  if (total < 1) return '0 s';
  const [size, unit] = units[i];
  const rest = i < 3 ? Math.floor(total % size / units[i + 1][0]) : 0;
  return Math.floor(total / size) + ' ' + unit + (rest > 0 ? ' ' + rest + ' ' + units[i + 1][1] : '');
}

class Chart {
  constructor(id, show, unit) {
    this.card = find(id);
    this.show = show;
    this.unit = unit;
    this.values = [];
  }
  push(value, note) {
    this.values.push(value);
    if (this.values.length > seconds) this.values.shift();
    const peak = Math.max(...this.values);
    const first = seconds - this.values.length;
    const points = this.values.map((each, i) =>
      (first + i) + ' ' + (31 - 29 * (peak > 0 ? each / peak : 0)).toFixed(2));
    const line = 'M' + points.join('L');
    const [area, stroke] = this.card.querySelectorAll('path');
    stroke.setAttribute('d', line);
    area.setAttribute('d', line + 'L' + (seconds - 1) + ' 32L' + first + ' 32Z');
    const [number, small] = this.card.querySelector('.big').children;
    number.textContent = this.show(value);
    small.textContent = this.unit;
    this.card.querySelector('.note').textContent = note;
    this.card.querySelector('svg').setAttribute('aria-label', 'of the last minute; peak ' + this.show(peak) + this.unit);
  }
}

const charts = {
  requests: new Chart('requests', countOf, ' /s'),
  sent: new Chart('sent', bytesOf, ' /s'),
  copied: new Chart('copied', bytesOf, ' /s'),
  open: new Chart('open', countOf, ''),
};

// Rows are [name, cells, class of a dot or ''].
function fill(id, rows) {
  find(id).tBodies[0].replaceChildren(...rows.map(([name, cells, dot]) => {
    const row = document.createElement('tr');
    const head = document.createElement('th');
    head.scope = 'row';
    if (dot) head.append(Object.assign(document.createElement('span'), { className: 'dot ' + dot }));
    head.append(name);
    row.append(head);
    for (const cell of cells) row.insertCell().textContent = cell;
    if (cells.every((cell) => /^0( B)?$/.test(cell))) row.className = 'idle';
    return row;
  }));
}

function bar(id, parts) {
  const bars = find(id).children;
  parts.forEach((share, i) => { bars[i].style.width = share + '%'; });
}

let before;

function draw(now, at) {
  const { http, cache, memory, copies, compression, cgi, apps } = now;
  const isSame = before && before.now.pid === now.pid && before.now.http.requests <= http.requests;
  const elapsed = isSame ? (at - before.at) / 1000 : 0;
  const old = isSame ? before.now : now;
  const rate = (value) => (elapsed > 0 ? Math.max(0, value) / elapsed : 0);
  before = { now, at };

  find('about').textContent = now.version + ' · process ' + now.pid + ' · up ' + spanOf(now.uptimeSeconds);
  find('cpu').textContent = 'CPU ' + (100 * rate(now.cpuSeconds - old.cpuSeconds)).toFixed(0) +
    ' % · ' + bytesOf(now.residentBytes) + ' resident';

  const sum = (figures) => Object.values(figures).reduce((total, { bytes }) => total + bytes, 0);
  const requests = http.requests - old.http.requests;
  const sent = http.bytesSent - old.http.bytesSent;
  const copied = sum(copies) - sum(old.copies);
  const byReference = http.bytesByReference - old.http.bytesByReference;
  if (elapsed > 0) {
    charts.requests.push(rate(requests), countOf(http.requests) + ' since the start');
    charts.sent.push(rate(sent), sent > 0 ? percentOf(byReference, sent) + ' by reference' : 'nothing sent');
    charts.copied.push(rate(copied), requests > 0 ? bytesOf(copied / requests) + ' for each request' : 'no request');
    charts.open.push(http.connectionsOpen, countOf(http.connectionsTotal) + ' since the start');
  }

  const classes = ['2xx', '3xx', '4xx', '5xx', '1xx'];
  const answers = classes.map((name) => http['responses' + name]);
  const all = answers.reduce((total, each) => total + each, 0);
  bar('answers-bar', answers.map((each) => shareOf(each, all)));
  fill('answers', classes.map((name, i) => {
    const fresh = answers[i] - old.http['responses' + name];
    return [name, [countOf(rate(fresh)), countOf(answers[i])], 'c' + name[0]];
  }));

  const asked = cache.hits + cache.misses;
  find('cache-share').textContent = bytesOf(cache.bytes) + ' of ' + bytesOf(cache.maxBytes);
  bar('cache-bar', [shareOf(cache.bytes, cache.maxBytes)]);
  fill('cache', [
    ['Hits', [countOf(rate(cache.hits - old.cache.hits)), countOf(cache.hits)]],
    ['Misses', [countOf(rate(cache.misses - old.cache.misses)), countOf(cache.misses)]],
    ['Evictions', [countOf(rate(cache.evictions - old.cache.evictions)), countOf(cache.evictions)]],
  ]);
  find('cache-note').textContent = percentOf(cache.hits, asked) + ' hits · ' + countOf(cache.entries) +
    ' files · ' + countOf(now.resources.entries) + ' answers ready · ' +
    bytesOf(compression.bytes) + ' compressed';

  const used = Object.entries(copies).filter(([, { times }]) => times > 0)
    .sort(([, a], [, b]) => b.bytes - a.bytes);
  fill('copies', used.map(([reason, { times, bytes }]) => {
    const last = old.copies[reason] || { times: 0, bytes: 0 };
    return [reason, [countOf(rate(times - last.times)), bytesOf(rate(bytes - last.bytes)), bytesOf(bytes)]];
  }));

  find('window-share').textContent = bytesOf(memory.windowBytes) + ' of ' + bytesOf(memory.windowBytesMax);
  bar('window-bar', [shareOf(memory.windowBytes, memory.windowBytesMax)]);
  fill('pools', memory.pools.map((pool) =>
    [pool.name, [countOf(pool.buffers), bytesOf(pool.bytesInUse), bytesOf(pool.bytesCommitted)]]));
  find('window-note').textContent = countOf(memory.liveHolds) + ' holds · ' + countOf(memory.leaks) + ' leaks';

  fill('trouble', [
    ['Malformed', http.malformed], ['Timed out: head', http.headTimeouts],
    ['Timed out: body', http.bodyTimeouts], ['Timed out: sending', http.sendTimeouts],
    ['Timed out: answer', http.answerTimeouts], ['Clients lost', http.clientsLost],
    ['Short of memory', http.refusedForMemory], ['Accepting paused', http.acceptPauses],
    ['Accepting failed', http.acceptFailures], ['Cut: too much waits', http.queueCuts],
    ['TLS handshakes failed', http.tlsFailures],
  ].map(([name, value]) => [name, [countOf(value)]]));

  const programs = Object.entries(apps).map(([prefix, app]) =>
    [prefix + ' (' + app.workers.length + (app.workers.length === 1 ? ' worker)' : ' workers)'),
      [countOf(app.running), countOf(app.waiting), countOf(app.requests), countOf(app.refused)]]);
  if (cgi.runs > 0 || cgi.refused > 0) {
    programs.push(['CGI programs',
      [countOf(cgi.running), countOf(cgi.waiting), countOf(cgi.runs), countOf(cgi.refused)]]);
  }
  find('programs-card').hidden = programs.length === 0;
  fill('programs', programs);
}

function tell(state, text) {
  find('state').className = state;
  find('state').textContent = text;
}

async function ask() {
  try {
    const answer = await fetch('status', { cache: 'no-store', signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error('the server answers ' + answer.status);
    draw(await answer.json(), performance.now());
    tell('live', 'live');
  } catch (error) {
    tell('lost', error instanceof TypeError ? 'no answer' : error.message);
  }
  setTimeout(ask, 1000);
}
ask();
`;

const hashOf = (text: string): string =>
  `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

export const kStatusPageFields = {
  'Content-Type': 'text/html; charset=utf-8',
  'Content-Security-Policy': `default-src 'none'; script-src ${hashOf(kScript)}; ` +
    `style-src ${hashOf(kStyle)}; connect-src 'self'; img-src data:; base-uri 'none'; ` +
    "form-action 'none'; frame-ancestors 'none'",
  'Referrer-Policy': 'no-referrer',
};

const chart = (id: string, title: string): string => `<section class="chart" id="${id}">
<h2>${title}</h2><p class="big"><span>–</span><small></small></p><p class="note">&nbsp;</p>
<svg viewBox="0 0 59 32" preserveAspectRatio="none" role="img" aria-label="${title}"><path/><path/></svg>
</section>`;

const table = (id: string, headings: readonly string[]): string =>
  `<table id="${id}"><thead><tr>${headings.map((text) => `<th scope="col">${text}</th>`).join('')}</tr></thead>` +
  '<tbody></tbody></table>';

export const kStatusPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Flash-Lite</title>
<link rel="icon" href="data:,">
<style>${kStyle}</style>
<header><h1>Flash-Lite</h1><span id="about"></span><span id="cpu"></span>
<span id="state" role="status">asking</span></header>
<main>
${chart('requests', 'Requests')}
${chart('sent', 'Bytes sent')}
${chart('copied', 'Payload copied')}
${chart('open', 'Connections open')}
<section><h2>Answers</h2>
<div class="bar" id="answers-bar"><i class="c2"></i><i class="c3"></i><i class="c4"></i><i class="c5"></i><i class="c1"></i></div>
${table('answers', ['Status', 'per second', 'since the start'])}</section>
<section><h2>File cache</h2>
<p class="share" id="cache-share"></p><div class="bar" id="cache-bar"><i class="full"></i></div>
${table('cache', ['', 'per second', 'since the start'])}<p class="note" id="cache-note"></p></section>
<section><h2>Copies of payload, by reason</h2>
${table('copies', ['Reason', 'times /s', 'bytes /s', 'bytes in all'])}</section>
<section><h2>Window</h2>
<p class="share" id="window-share"></p><div class="bar" id="window-bar"><i class="full"></i></div>
${table('pools', ['Pool', 'buffers', 'in use', 'committed'])}<p class="note" id="window-note"></p></section>
<section><h2>Trouble</h2>
${table('trouble', ['', 'since the start'])}</section>
<section id="programs-card" hidden><h2>Programs and workers</h2>
${table('programs', ['', 'running', 'waiting', 'in all', 'refused'])}</section>
</main>
<footer><span>Once a second this page asks for its figures: that is counted, too.</span>
<a href="status">JSON</a> <a href="metrics">Prometheus</a>
<noscript>The figures need JavaScript.</noscript></footer>
<script>${kScript}</script>
</html>
`;
