/**
 * Who waits at a channel, in the order of the calls.
 */
import { abortedError } from '../abort';
import type { Message } from './message';

/** Somebody who waits: for a message, or for room. */
export interface Waiter {
  /** Before it is answered: takes it off its signal. */
  settle(): void;
  reject(error: unknown): void;
}

export interface Receiving extends Waiter {
  resolve(message: Message | null): void;
}

export interface Sending extends Waiter {
  resolve(): void;
  readonly aggregate: number;
  readonly metadata: Uint8Array | undefined;
}

/** Puts a waiter into its queue; a signal takes it out again. */
export function enqueue<W extends Waiter>(
  queue: W[],
  waiter: W,
  signal: AbortSignal | undefined,
  onAbort: () => void,
): void {
  queue.push(waiter);
  if (signal === undefined) return;
  const giveUp = (): void => {
    queue.splice(queue.indexOf(waiter), 1);
    onAbort();
    waiter.reject(abortedError(signal));
  };
  waiter.settle = () => signal.removeEventListener('abort', giveUp);
  signal.addEventListener('abort', giveUp, { once: true });
}
