/**
 * Collecting what a stream brings in one aggregate.
 */
import type { Readable } from 'node:stream';

import { Aggregate } from './aggregate';
import type { BytesParts } from './bytes-like';
import { IolError } from './errors';
import { invalidType, validateAbortSignal, validateInteger, validateObject } from './validate';

/** How a source is collected. */
export interface CollectOptions {
  /** Gives it up: it rejects with `ERR_IOL_ABORTED`. */
  signal?: AbortSignal;
  /** Refuse more than that. Default: no limit but memory. */
  maxBytes?: number;
}

type Source = AsyncIterable<BytesParts> | Iterable<BytesParts | Promise<BytesParts>>;
type SourceIterator = AsyncIterator<BytesParts> | Iterator<BytesParts | Promise<BytesParts>>;

function iteratorOf(source: unknown): SourceIterator {
  const { [Symbol.asyncIterator]: makeAsync, [Symbol.iterator]: make } = Object(source) as Partial<
    Record<symbol, () => SourceIterator>
  >;
  const open = makeAsync ?? make;
  if (typeof source === 'string' || typeof open !== 'function') {
    throw invalidType('source', 'an async iterable or an iterable of bytes', source);
  }
  return open.call(source);
}

/** Rejects when the signal says so, until `forget` was called. */
function abortion(signal: AbortSignal | undefined): { promise: Promise<never>; forget: () => void } {
  let forget = (): void => {};
  const promise = new Promise<never>((_, reject) => {
    if (signal === undefined) return;
    const onAbort = (): void =>
      reject(
        new IolError('ERR_IOL_ABORTED', 'The operation was given up by its caller', {
          cause: signal.reason,
        }),
      );
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    forget = () => signal.removeEventListener('abort', onAbort);
  });
  promise.catch(() => {});
  return { promise, forget };
}

/** See {@link Aggregate.fromAsync}. */
export async function collectAsync(source: Source, options: CollectOptions): Promise<Aggregate> {
  validateObject(options, 'options');
  const { signal, maxBytes = Number.MAX_SAFE_INTEGER } = options;
  validateAbortSignal(signal, 'options.signal');
  validateInteger(maxBytes, 'options.maxBytes');
  const iterator = iteratorOf(source);
  const aborted = abortion(signal);
  const collected = Aggregate.empty();
  let hasEnded = false;
  try {
    for (;;) {
      const next = await Promise.race([aborted.promise, nextOf(iterator)]);
      if (next.done === true) {
        hasEnded = true;
        return collected;
      }
      collected.append(await Promise.race([aborted.promise, next.value]));
      if (collected.byteLength > maxBytes) {
        throw new IolError('ERR_IOL_TOO_LARGE', `The source has more than ${maxBytes} bytes`);
      }
    }
  } catch (error) {
    collected.dispose();
    throw error;
  } finally {
    aborted.forget();
    // Why not waited for: a source that hangs would keep the error from its caller.
    if (!hasEnded) void end(source, iterator);
  }
}

type Step = IteratorResult<BytesParts | Promise<BytesParts>, unknown>;

async function nextOf(iterator: SourceIterator): Promise<Step> {
  return await iterator.next();
}

async function end(source: Source, iterator: SourceIterator): Promise<void> {
  try {
    // Why first: the iterator of a stream that brings nothing would wait for ever.
    (source as Partial<Readable>).destroy?.();
    await iterator.return?.();
  } catch {
    // The caller has its error already.
  }
}
