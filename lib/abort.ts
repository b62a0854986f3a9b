/**
 * Giving up: what an AbortSignal means for an operation that is under way.
 */
import { IolError } from './errors';

export function abortedError(signal: AbortSignal): IolError {
  return new IolError('ERR_IOL_ABORTED', 'The operation was given up by its caller', {
    cause: signal.reason,
  });
}

/** `work`, or a rejection as soon as the signal says so; what comes too late goes to `drop`. */
export function orAborted<T>(
  work: Promise<T>,
  signal: AbortSignal | undefined,
  drop: (late: T) => void,
): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(abortedError(signal));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    const onEnd = (): void => signal.removeEventListener('abort', onAbort);
    work.finally(onEnd).then((value) => (signal.aborted ? drop(value) : resolve(value)), reject);
  });
}
