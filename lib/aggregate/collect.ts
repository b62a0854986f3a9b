/**
 * Collecting what a stream brings in one aggregate.
 */
import type { Readable } from 'node:stream';

import { orAborted } from '../abort';
import { IolError } from '../errors';
import { invalidType, validateAbortSignal, validateInteger, validateObject } from '../validate';
import { adoptAggregate, Aggregate } from './aggregate';
import { handleFromList, isBytesLike, type BytesParts } from './bytes-like';

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

/** See {@link Aggregate.fromAsync}. */
export async function collectAsync(source: Source, options: CollectOptions): Promise<Aggregate> {
  validateObject(options, 'options');
  const { signal, maxBytes = Number.MAX_SAFE_INTEGER } = options;
  validateAbortSignal(signal, 'options.signal');
  validateInteger(maxBytes, 'options.maxBytes');
  const iterator = iteratorOf(source);
  const collected = Aggregate.empty();
  let hasEnded = false;
  try {
    for (let count = 0; ; count++) {
      const next = await orAborted(nextOf(iterator), signal, dropNothing);
      if (next.done) {
        hasEnded = true;
        return collected;
      }
      appendChunk(collected, next.value, `source[${count}]`);
      if (collected.byteLength > maxBytes) {
        throw new IolError('ERR_IOL_TOO_LARGE', `The source has more than ${maxBytes} bytes`);
      }
    }
  } catch (error) {
    collected.dispose();
    throw error;
  } finally {
    // Why not waited for: a source that hangs would keep the error from its caller.
    if (!hasEnded) void end(source, iterator);
  }
}

function appendChunk(collected: Aggregate, chunk: BytesParts, name: string): void {
  if (isBytesLike(chunk)) return void collected.append(chunk);
  using bytes = adoptAggregate(handleFromList(chunk, name), -1, false);
  collected.append(bytes);
}

type Step = { done: true } | { done: false; value: BytesParts };

async function nextOf(iterator: SourceIterator): Promise<Step> {
  const step = await iterator.next();
  return step.done === true ? { done: true } : { done: false, value: await step.value };
}

// What comes too late is the source's own.
function dropNothing(): void {}

async function end(source: Source, iterator: SourceIterator): Promise<void> {
  try {
    // Why first: the iterator of a stream that brings nothing would wait for ever.
    (source as Partial<Readable>).destroy?.();
    await iterator.return?.();
  } catch {
    // The caller has its error already.
  }
}
