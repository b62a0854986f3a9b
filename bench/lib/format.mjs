// Numbers, sizes and tables as a reader wants them.

const UNITS = { '': 1, b: 1, k: 1024, kib: 1024, m: 1 << 20, mib: 1 << 20 };

/** `26510`, `4KiB`, `64k`, `1MiB` to bytes; null when it is none of these. */
export function parseSize(text) {
  const match = /^(\d+)(b|k|kib|m|mib)?$/i.exec(text.trim());
  return match ? Number(match[1]) * UNITS[(match[2] ?? '').toLowerCase()] : null;
}

/** 1024 to `1KiB`; sizes that are no whole multiple stay in bytes. */
export function sizeName(bytes) {
  if (bytes > 0 && bytes % (1 << 20) === 0) return `${bytes / (1 << 20)}MiB`;
  if (bytes > 0 && bytes % 1024 === 0) return `${bytes / 1024}KiB`;
  return `${bytes}B`;
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Distance from the smallest to the largest value, as a share of the median. */
export function spread(values) {
  return (Math.max(...values) - Math.min(...values)) / median(values);
}

export const fixed = (value, digits) => value.toFixed(digits);
export const percent = (share) => `${Math.round(share * 100)} %`;
export const grouped = (value) => Math.round(value).toLocaleString('en-US');

/** Lines of a table: the first column to the left, the others to the right. `rows[0]` is the heading. */
export function table(rows, indent = '  ') {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  return rows.map((row) => {
    const cells = row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])));
    return (indent + cells.join('  ')).trimEnd();
  }).join('\n');
}
