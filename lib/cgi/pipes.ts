/**
 * Our ends of a program's pipes: its output into the window, its lines for the log.
 */
import { StringDecoder } from 'node:string_decoder';

import { adoptAggregate, type Aggregate } from '../aggregate/aggregate';
import { ready } from '../io/descriptor';
import { native } from '../native';

declare module '../native' {
  interface NativeAddon {
    /** An aggregate; 0: the end; -1: nothing now. */
    pipeTryRead(pool: number, fd: number, size: number): number;
  }
}

const pieceBytes = 64 << 10;
const lineCharactersMax = 1000;

/** What the pipe has now, `null` at the end, `undefined` when nothing is there. */
export function tryReadPipe(pool: number, fd: number): Aggregate | null | undefined {
  const handle = native.pipeTryRead(pool, fd, pieceBytes);
  if (handle > 0) return adoptAggregate(handle, native.scratch[0]!);
  return handle === 0 ? null : undefined;
}

/** What comes next, or null at the end. The kernel's copy out of the pipe (`pipeIn`) is the only one. */
export async function readPipe(
  pool: number, fd: number, signal: AbortSignal,
): Promise<Aggregate | null> {
  for (;;) {
    const bytes = tryReadPipe(pool, fd);
    if (bytes !== undefined) return bytes;
    await ready(fd, false, signal);
  }
}

/** Calls `onLine` for each line until the end; what waits in the pipe at the signal is still read. */
export async function readLines(
  pool: number, fd: number, signal: AbortSignal, onLine: (line: string) => void,
): Promise<void> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  const take = (text: string): void => {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!.slice(0, lineCharactersMax);
    for (const line of lines) onLine(printable(line));
  };
  try {
    for (let bytes = await readPipe(pool, fd, signal); bytes !== null;
      bytes = await readPipe(pool, fd, signal)) {
      using part = bytes;
      take(decoder.write(part.toBuffer()));
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    for (let bytes = tryReadPipe(pool, fd); bytes; bytes = tryReadPipe(pool, fd)) {
      using part = bytes;
      take(decoder.write(part.toBuffer()));
    }
  }
  if (rest !== '') onLine(printable(rest));
}

/** One line that cannot pretend to be another, or move a terminal's cursor. */
export function printable(line: string): string {
  // eslint-disable-next-line no-control-regex
  return line.slice(0, lineCharactersMax).trimEnd().replace(/[\0-\x08\x0b-\x1f\x7f-\x9f]/g, '?');
}
