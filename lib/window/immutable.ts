/**
 * What happens when JavaScript stores into sealed bytes: the store was undone, and is told here.
 */
import { isMainThread } from 'node:worker_threads';

import { errorTable } from '../error-codes.generated';
import { native } from '../native';

/** A store into sealed bytes that was caught and undone. */
export interface ImmutableEvent {
  readonly code: 'ERR_IOL_IMMUTABLE';
  /** The window address that was stored to; of several stores to one page only the first is known. */
  readonly address: number;
  /** Of the buffer at that address; 0 when none is there. */
  readonly generation: number;
}

const listeners: ((event: ImmutableEvent) => void)[] = [];

export function onImmutable(listener: (event: ImmutableEvent) => void): void {
  listeners.push(listener);
}

function warn(message: string): void {
  process.emitWarning(message, {
    type: 'IolWarning',
    code: 'ERR_IOL_IMMUTABLE',
    detail: errorTable.ERR_IOL_IMMUTABLE.advice,
  });
}

/** One warning for all stores of a turn: there may be thousands. */
function report(places: number[], handlerWasReplaced: boolean): void {
  const [address = 0, generation = 0] = places;
  const others = places.length / 2 - 1;
  warn(
    `A store into sealed bytes was undone, at address 0x${address.toString(16)}, ` +
      `generation ${generation}${others > 0 ? `, and ${others} more` : ''}`,
  );
  if (handlerWasReplaced) warnOfReplacement();
  for (let i = 0; i < places.length; i += 2) {
    const event: ImmutableEvent = {
      code: 'ERR_IOL_IMMUTABLE',
      address: places[i]!,
      generation: places[i + 1]!,
    };
    for (const listener of listeners) listener(event);
  }
}

let replacementWasTold = false;

function warnOfReplacement(): void {
  if (replacementWasTold) return;
  replacementWasTold = true;
  process.emitWarning(
    'Another SIGSEGV handler was installed. The one of io-lite is in front of it again; ' +
      'without it a store into sealed bytes would hang the process.',
    { type: 'IolWarning', code: 'IOL_SIGSEGV_HANDLER' },
  );
}

/** After Node's own listener has installed or removed its handler. */
function onSignalListener(event: string | symbol): void {
  if (event === 'SIGSEGV' && native.reinstallFaultHandler()) warnOfReplacement();
}

native.setImmutableReporter(report);
// The loop is not kept alive to tell of a store: this is its last chance to.
process.on('beforeExit', () => native.reportStores());
if (process.env['IOL_STRICT'] === '1') native.setStrict(true);
if (isMainThread) {
  // Signal listeners of a worker install nothing.
  process.on('newListener', onSignalListener);
  process.on('removeListener', onSignalListener);
}
