/** How the CLI says numbers, times and tables. */

export interface Style {
  /** Bytes as they are, without units. */
  readonly isRaw: boolean;
  readonly hasColour: boolean;
  /** Characters of a line; what is longer is cut. Infinity: a file or a pipe. */
  readonly columns: number;
}

/** Colour only on a terminal, and not there when NO_COLOR is set (no-color.org). */
export function styleOf(stream: NodeJS.WriteStream, isRaw: boolean): Style {
  const isTerminal = stream.isTTY === true;
  const isPlain = (process.env['NO_COLOR'] ?? '') !== '' || process.env['TERM'] === 'dumb';
  return {
    isRaw,
    hasColour: isTerminal && !isPlain,
    columns: isTerminal ? (stream).columns || 80 : Infinity,
  };
}

const units = ['B', 'K', 'M', 'G', 'T', 'P'];

/** `1.5M`: three digits at most; the number itself where `--bytes` was given. */
export function bytes(count: number, style: Style): string {
  if (style.isRaw) return String(count);
  let unit = 0;
  let value = count;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || value >= 9.95 ? 0 : 1;
  return `${value.toFixed(digits)}${units[unit]}`;
}

/** `42s`, `17m`, `3h05m`, `12d`. */
export function span(seconds: number): string {
  if (seconds < 1) return '0s';
  if (seconds < 120) return `${Math.floor(seconds)}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  const hours = Math.floor(seconds / 3600);
  if (hours < 48) return `${hours}h${String(Math.floor((seconds % 3600) / 60)).padStart(2, '0')}m`;
  return `${Math.floor(hours / 24)}d`;
}

/** Since a moment in milliseconds since 1970; `-` when that is not known. */
export function since(ms: number, now = Date.now()): string {
  return ms === 0 ? '-' : span((now - ms) / 1000);
}

export type Colour = 'red' | 'yellow' | 'green' | 'dim' | 'bold';
const codes: Record<Colour, number> = { red: 31, yellow: 33, green: 32, dim: 2, bold: 1 };

export function paint(text: string, colour: Colour, style: Style): string {
  return style.hasColour ? `\x1b[${codes[colour]}m${text}\x1b[0m` : text;
}

/** A column: its title, and whether it is of numbers (to the right). */
export interface Column {
  readonly title: string;
  readonly isNumber?: boolean;
}

export interface Row {
  readonly cells: readonly string[];
  readonly colour?: Colour;
}

/** Aligned columns under their titles; the last one is not padded. */
export function table(columns: readonly Column[], rows: readonly Row[], style: Style): string {
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...rows.map(({ cells }) => cells[index]!.length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) => {
        if (columns[index]!.isNumber === true) return cell.padStart(widths[index]!);
        return index === cells.length - 1 ? cell : cell.padEnd(widths[index]!);
      })
      .join('  ')
      .slice(0, style.columns === Infinity ? undefined : style.columns);
  return [
    paint(line(columns.map(({ title }) => title)), 'bold', style),
    ...rows.map(({ cells, colour }) => (colour === undefined ? line(cells) : paint(line(cells), colour, style))),
  ].join('\n');
}
