/**
 * The order of operations on one descriptor: writes, and reads at its own position, follow each
 * other as they were called. Reads of what is no file have no turn, for they may wait for a write.
 */
import { IolError } from './errors';

interface Line {
  last: Promise<unknown>;
  count: number;
}

const lines = new Map<number, Line>();

async function after<T>(before: Promise<unknown> | undefined, fd: number, work: () => Promise<T>): Promise<T> {
  try {
    // Why caught: whoever asked for it is told; the next one only waits.
    if (before !== undefined) await before.catch(() => {});
    return await work();
  } finally {
    // Why here: whoever awaited the last one finds the descriptor free.
    const line = lines.get(fd)!;
    if (--line.count === 0) lines.delete(fd);
  }
}

/**
 * Starts `work` when all that was given before for the same descriptor has ended, whether its caller
 * still waits for it or not.
 */
export function inTurn<T>(fd: number, work: () => Promise<T>): Promise<T> {
  const line = lines.get(fd) ?? { last: Promise.resolve(), count: 0 };
  const before = line.count === 0 ? undefined : line.last;
  line.count++;
  lines.set(fd, line);
  const turn = after(before, fd, work);
  line.last = turn;
  return turn;
}

/** @throws {IolError} `ERR_IOL_BUSY` when operations with a turn are on their way. */
export function checkIdle(fd: number): void {
  if (!lines.has(fd)) return;
  throw new IolError(
    'ERR_IOL_BUSY',
    `Descriptor ${fd} has promised operations on their way, which this one would overtake: await them first`,
  );
}
