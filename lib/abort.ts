/**
 * Giving up: what an AbortSignal means for an operation that is under way.
 */
import { IolError } from './errors';

export function abortedError(signal: AbortSignal): IolError {
  return new IolError('ERR_IOL_ABORTED', 'The operation was given up by its caller', {
    cause: signal.reason,
  });
}

/**
 * `work`, or a rejection as soon as the signal says so; what comes too late goes to `drop`.
 *
 * @param isTooLate Asked at the signal: true when the work has moved its bytes, so that it must be
 * let come to its end.
 */
export function orAborted<T>(
  work: Promise<T>,
  signal: AbortSignal | undefined,
  drop: (late: T) => void,
  isTooLate?: () => boolean,
): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    let isGivenUp = false;
    const onAbort = (): void => {
      if (isTooLate?.()) return;
      isGivenUp = true;
      reject(abortedError(signal));
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    const onEnd = (): void => signal.removeEventListener('abort', onAbort);
    work.finally(onEnd).then((value) => (isGivenUp ? drop(value) : resolve(value)), reject);
  });
}

/** Who waits for something that others tell. */
export interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Where one at a time waits for something that others tell. */
export class Waiting {
  #waiter: Waiter | undefined;

  /** Until it is told, or the signal says so. */
  async untilTold(signal: AbortSignal | undefined): Promise<void> {
    const onAbort = (): void => this.fail(abortedError(signal!));
    try {
      await new Promise<void>((resolve, reject) => {
        this.#waiter = { resolve, reject };
        signal?.addEventListener('abort', onAbort, { once: true });
      });
    } finally {
      this.#waiter = undefined;
      signal?.removeEventListener('abort', onAbort);
    }
  }

  tell(): void {
    this.#waiter?.resolve();
  }

  fail(error: unknown): void {
    this.#waiter?.reject(error);
  }
}
