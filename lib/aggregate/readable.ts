/**
 * Ways out: an aggregate as a stream, for what wants one. The chunks are copies (reason `copyOut`),
 * made when they are asked for, because a reader may keep one for ever; `iolWrite` copies nothing
 * where the sink allows it.
 */
import { Readable } from 'node:stream';
import { ReadableStream } from 'node:stream/web';

import { chunkByValue } from '../io/streams-pieces';
import { native } from '../native';
import { handleOf } from '../resource';
import { adoptAggregate, type Aggregate } from './aggregate';
import { handleFromParts, type BytesLike } from './bytes-like';

/** What is still to come, and the holds on it until it has all gone. */
class Rest {
  readonly #held: Aggregate;
  #at = 0;

  constructor(bytes: BytesLike) {
    this.#held = adoptAggregate(handleFromParts([bytes], 'bytes'), native.scratch[0]!);
  }

  /** The next chunk; null at the end, when nothing is held any more. */
  next(): Buffer | null {
    if (this.#held.isDisposed) return null;
    const { byteLength } = this.#held;
    if (this.#at >= byteLength) return this.end();
    const chunk = chunkByValue(handleOf(this.#held), this.#at, byteLength);
    this.#at += chunk.length;
    if (this.#at === byteLength) this.end();
    return chunk;
  }

  end(): null {
    this.#held.dispose();
    return null;
  }
}

/**
 * The bytes as a Node stream, in chunks of at most 64 KiB, each copied when the reader wants it.
 * Holds of its own are kept until the last one or until it is destroyed.
 *
 * @param bytes the caller's, who may edit and release it at once.
 */
export function toReadable(bytes: BytesLike): Readable {
  const rest = new Rest(bytes);
  return new Readable({
    highWaterMark: 0, // Else Node joins two chunks, by a copy that nobody counts.
    read() {
      this.push(rest.next());
    },
    destroy(error, done) {
      rest.end();
      done(error);
    },
  });
}

/** The same as a web stream of bytes; `cancel()` releases what is left. See {@link toReadable}. */
export function toReadableStream(bytes: BytesLike): ReadableStream<Uint8Array> {
  const rest = new Rest(bytes);
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const chunk = rest.next();
        if (chunk === null) controller.close();
        else controller.enqueue(chunk);
      },
      cancel: () => void rest.end(),
    },
    { highWaterMark: 0 },
  );
}
