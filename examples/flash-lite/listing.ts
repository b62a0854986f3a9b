// A directory as an HTML page: directories first, then by name; only what would be served.

import { readdir, realpath, stat } from 'node:fs/promises';

import { isServedBelow, isServedName } from './paths';

// A page with more lines helps nobody; the page says how many are left out.
const kEntriesMax = 10_000;
const kStatsAtOnce = 16;

interface Entry {
  name: string;
  isDirectory: boolean;
  byteLength: number;
  modified: Date;
}

// `path` ends with a slash and is where the directory is; `title` is how the client calls it.
export async function renderListing(root: string, path: string, title: string): Promise<string> {
  const names = (await readdir(path)).filter(isServedName);
  names.sort(compareNames);
  const entries = await describe(root, path, names.slice(0, kEntriesMax));
  entries.sort(compareEntries);
  return renderPage(title, entries, names.length - Math.min(names.length, kEntriesMax));
}

async function describe(root: string, path: string, names: readonly string[]): Promise<Entry[]> {
  const entries: Entry[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < names.length) {
      const entry = await describeOne(root, path, names[next++] as string);
      if (entry !== undefined) entries.push(entry);
    }
  };
  await Promise.all(Array.from({ length: kStatsAtOnce }, work));
  return entries;
}

async function describeOne(root: string, path: string, name: string): Promise<Entry | undefined> {
  try {
    const real = await realpath(path + name);
    const found = await stat(real);
    const isDirectory = found.isDirectory();
    if (!isServedBelow(root, real) || !(isDirectory || found.isFile())) return undefined;
    return { name, isDirectory, byteLength: found.size, modified: found.mtime };
  } catch {
    return undefined;  // Gone meanwhile, a dangling link, or a name that is not UTF-8.
  }
}

function renderPage(title: string, entries: readonly Entry[], leftOut: number): string {
  const parent = title === '/' ? '' : '<tr><td><a href="../">../</a><td><td>\n';
  const rest = leftOut === 0 ? '' : `<p>${leftOut} more are not shown.</p>\n`;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title>
<style>
  body { font: 1em/1.5 system-ui, sans-serif; margin: 2em }
  td { padding-right: 2em } td:nth-child(2) { text-align: right }
</style>
<h1>${escapeHtml(title)}</h1>
<table>
${parent}${entries.map(renderEntry).join('')}</table>
${rest}</html>
`;
}

function renderEntry(entry: Entry): string {
  const slash = entry.isDirectory ? '/' : '';
  const size = entry.isDirectory ? '' : String(entry.byteLength);
  const date = dateOf(entry.modified);
  const href = `./${encodeURIComponent(entry.name)}${slash}`;
  const link = `<a href="${href}">${escapeHtml(entry.name)}${slash}</a>`;
  return `<tr><td>${link}<td>${size}<td>${date}\n`;
}

// Nothing for a time that Date cannot say: file systems know later and earlier ones.
function dateOf(time: Date): string {
  if (Number.isNaN(time.getTime())) return '';
  return `${time.toISOString().slice(0, -8).replace('T', ' ')} UTC`;
}

const kEscapes: Record<string, string> = {
  '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;',
};

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => kEscapes[character] as string);
}

function compareEntries(a: Entry, b: Entry): number {
  return Number(b.isDirectory) - Number(a.isDirectory) || compareNames(a.name, b.name);
}

function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
