/**
 * The order of operations on one descriptor: writes, and reads at its own position, follow each
 * other as they were called. Reads of what is no file have an order of their own, for they may wait
 * for a write.
 *
 *   number -> line { pin: what the number was, work under way <- waits <- waits }
 *
 * A number that was closed and is used again has a line of its own; who still waits in the old one
 * gets EBADF, so that nothing meets a file that it was not meant for.
 */
import { IolError } from '../errors';
import { native } from '../native';
import { closedMeanwhileError, endStaleWaits } from './descriptor';

interface Line {
  last: Promise<unknown>;
  count: number;
  /** What the number was when the second one came; 0: only the first is there. */
  pin: number;
}

export class Turns {
  readonly #lines = new Map<number, Line>();
  readonly #syscall: string;

  /** @param syscall Named by the errors of those who waited in vain. */
  constructor(syscall: string) {
    this.#syscall = syscall;
  }

  /** Whether something that was given before for what is `fd` now has not ended. */
  isBusy(fd: number): boolean {
    const line = this.#lines.get(fd);
    if (line === undefined) return false;
    const hadStale = endStaleWaits(fd);
    if (!hadStale && (line.pin === 0 || native.ioIsSame(line.pin))) return true;
    this.#lines.delete(fd);
    return false;
  }

  /**
   * Starts `work` when all that was given before for the same descriptor has ended, whether its
   * caller still waits for it or not.
   */
  inTurn<T>(fd: number, work: () => Promise<T>): Promise<T> {
    let line = this.isBusy(fd) ? this.#lines.get(fd) : undefined;
    if (line === undefined) this.#lines.set(fd, (line = { last: Promise.resolve(), count: 0, pin: 0 }));
    else if (line.pin === 0) line.pin = native.ioPin(fd);
    const before = line.count === 0 ? undefined : line.last;
    line.count++;
    line.last = this.#after(before, fd, line, work);
    return line.last as Promise<T>;
  }

  async #after<T>(
    before: Promise<unknown> | undefined,
    fd: number,
    line: Line,
    work: () => Promise<T>,
  ): Promise<T> {
    try {
      // Why caught: whoever asked for it is told; the next one only waits.
      if (before !== undefined) {
        await before.catch(() => {});
        if (!native.ioIsSame(line.pin)) throw closedMeanwhileError(fd, this.#syscall);
      }
      return await work();
    } finally {
      // Why here: whoever awaited the last one finds the descriptor free.
      if (--line.count === 0) {
        if (line.pin !== 0) native.ioCancel(line.pin);
        if (this.#lines.get(fd) === line) this.#lines.delete(fd);
      }
    }
  }
}

const turns = new Turns('write');

/** Writes, and reads at the own position of a file. */
export function inTurn<T>(fd: number, work: () => Promise<T>): Promise<T> {
  return turns.inTurn(fd, work);
}

/** Reads of what is no file, which wait. */
export const waitingReads = new Turns('read');

/** @throws {IolError} `ERR_IOL_BUSY` when operations with a turn are on their way. */
export function checkIdle(fd: number): void {
  if (!turns.isBusy(fd)) return;
  throw new IolError(
    'ERR_IOL_BUSY',
    `Descriptor ${fd} has promised operations on their way, which this one would overtake: await them first`,
  );
}
