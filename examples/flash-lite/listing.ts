// A directory as an HTML page: directories first, sorted as the client likes; only what would be
// served.

import { readdir, realpath, stat } from 'node:fs/promises';

// A page with more lines helps nobody; the page says how many are left out.
const kEntriesMax = 10_000;
const kStatsAtOnce = 16;

interface Entry {
  name: string;
  isDirectory: boolean;
  byteLength: number;
  modified: Date;
}

export interface Listing {
  title: string;  // How the client calls it.
  entries: readonly Entry[];
  leftOut: number;
}

// `path` ends with a slash and is where the directory is; `isServed` is asked for each name and
// where it leads.
export async function readListing(
  path: string, title: string, isServed: (name: string, real: string) => boolean,
): Promise<Listing> {
  const names = (await readdir(path)).sort(compareNames);
  const entries: Entry[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < Math.min(names.length, kEntriesMax)) {
      const entry = await describe(path, names[next++] as string, isServed);
      if (entry !== undefined) entries.push(entry);
    }
  };
  await Promise.all(Array.from({ length: kStatsAtOnce }, work));
  return { title, entries, leftOut: Math.max(0, names.length - kEntriesMax) };
}

async function describe(
  path: string, name: string, isServed: (name: string, real: string) => boolean,
): Promise<Entry | undefined> {
  try {
    const real = await realpath(path + name);
    const found = await stat(real);
    const isDirectory = found.isDirectory();
    if (!isServed(name, real) || !(isDirectory || found.isFile())) return undefined;
    return { name, isDirectory, byteLength: found.size, modified: found.mtime };
  } catch {
    return undefined;  // Gone meanwhile, a dangling link, or a name that is not UTF-8.
  }
}

type Compare = (a: Entry, b: Entry) => number;

const kColumns: Record<string, { title: string; compare: Compare }> = {
  name: { title: 'Name', compare: (a, b) => compareNames(a.name, b.name) },
  size: { title: 'Size', compare: (a, b) => a.byteLength - b.byteLength },
  modified: { title: 'Modified', compare: (a, b) => timeOf(a) - timeOf(b) },
};

// What nobody but the page itself needs.
export const kListingFields = {
  'Content-Type': 'text/html; charset=utf-8',
  'X-Content-Type-Options': 'nosniff',
  'Content-Security-Policy': "default-src 'none'; style-src 'unsafe-inline'",
  'Cache-Control': 'no-cache',
};

// `query` is `?sort=size`, with a minus before the column for the other way round.
export function renderListing({ title, entries, leftOut }: Listing, query: string): string {
  const asked = new URLSearchParams(query).get('sort') ?? '';
  const isReversed = asked.startsWith('-');
  const wanted = isReversed ? asked.slice(1) : asked;
  const column = Object.hasOwn(kColumns, wanted) ? wanted : 'name';
  const { compare } = kColumns[column] as { compare: Compare };
  const direction = isReversed ? -1 : 1;
  const sorted = [...entries].sort((a, b) =>
    Number(b.isDirectory) - Number(a.isDirectory) || direction * compare(a, b) ||
    compareNames(a.name, b.name));
  const headings = Object.entries(kColumns).map(([name, { title: heading }]) => {
    const isThis = name === column;
    const order = isReversed ? 'descending' : 'ascending';
    return `<th${isThis ? ` aria-sort="${order}"` : ''}>` +
      `<a href="?sort=${isThis && !isReversed ? '-' : ''}${name}">${heading}</a>`;
  });
  const parent = title === '/' ? '' : '<tr><td><a href="../">../</a><td><td>\n';
  const rest = leftOut === 0 ? '' : `<p>${leftOut} more are not shown.</p>\n`;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title>
<style>
  :root { color-scheme: light dark }
  body { font: 1em/1.5 system-ui, sans-serif; margin: 2em }
  th { text-align: left } th a { color: inherit } th, td { padding-right: 2em }
  th:nth-child(2), td:nth-child(2) { text-align: right; font-variant-numeric: tabular-nums }
  [aria-sort=ascending]::after { content: " \\2191" }
  [aria-sort=descending]::after { content: " \\2193" }
  td:nth-child(n+2) { white-space: nowrap }
</style>
<h1>${escapeHtml(title)}</h1>
<table>
<thead><tr>${headings.join('')}</thead>
<tbody>
${parent}${sorted.map(renderEntry).join('')}</table>
${rest}</html>
`;
}

function renderEntry(entry: Entry): string {
  const slash = entry.isDirectory ? '/' : '';
  const { byteLength } = entry;
  const size = entry.isDirectory ? ''
    : `<data value="${byteLength}" title="${byteLength} bytes">${sizeOf(byteLength)}</data>`;
  const href = `./${encodeURIComponent(entry.name)}${slash}`;
  const link = `<a href="${href}">${escapeHtml(entry.name)}${slash}</a>`;
  return `<tr><td>${link}<td>${size}<td>${dateOf(entry.modified)}\n`;
}

// Three digits at most, in powers of 1024.
export function sizeOf(byteLength: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = byteLength;
  let unit = 0;
  for (; value >= 999.5 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : Number(value.toPrecision(2))} ${units[unit]}`;
}

// Nothing for a time that Date cannot say: file systems know later and earlier ones.
function dateOf(time: Date): string {
  if (Number.isNaN(time.getTime())) return '';
  return `${time.toISOString().slice(0, -8).replace('T', ' ')} UTC`;
}

function timeOf({ modified }: Entry): number {
  const time = modified.getTime();
  return Number.isNaN(time) ? 0 : time;
}

const kEscapes: Record<string, string> = {
  '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;',
};

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => kEscapes[character] as string);
}

// As people count: 2 before 10. The last word has the code units, so that the order is one.
const kCollator = new Intl.Collator('en', { numeric: true });

function compareNames(a: string, b: string): number {
  return kCollator.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);
}
