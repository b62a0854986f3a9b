/**
 * The body of a request of lib/http.ts, read as it arrives.
 */
import { abortedError, Waiting } from '../abort';
import { adoptAggregate, type Aggregate } from '../aggregate/aggregate';
import { readBytes, type ByteSource } from '../aggregate/byte-source';
import { closedError, type IolError } from '../errors';
import { native } from '../native';
import { handleOf } from '../resource';
import { invalidType, validateAbortSignal, validateInteger, validateObject } from '../validate';
import { Pool } from '../window/pool';
import type { NativeServer } from './native';

declare module '../native' {
  interface NativeAddon {
    /** An aggregate; 0: the end; -1: wait for the event. `pool`: 0 for the server's. */
    httpReadBody(
      server: NativeServer, slot: number, epoch: number, bytesMax: number, pool: number,
    ): number;
  }
}

/** Of one read when the caller names no size. */
const pieceBytesDefault = 64 << 10;
const pieceBytesMax = 16 << 20;

/** What a read can be given. */
export interface BodyReadOptions {
  /** Gives the read up: it rejects with `ERR_IOL_ABORTED` and has read nothing. */
  signal?: AbortSignal | undefined;
  /** Where the bytes are received: whoever may read that pool may be sent them. Default: the server's. */
  pool?: Pool | undefined;
}

/**
 * The body of a request: aggregates in the order in which their bytes were sent, chunked coding
 * removed, in the server's pool or the one that a read names. Nothing is received before it is asked for: the client waits, so no
 * more than one read's bytes are in memory. The first read sends `100 Continue` to a client that
 * waits for it, as does a `start` before it, unless its status is 400 or more: then the body is given up.
 * What is not read when the answer is complete is dropped.
 *
 * Reads reject with `ERR_IOL_TOO_LARGE` beyond `bodyBytesMax` (answer 413), `ERR_IOL_BAD_BODY` when
 * the body is malformed (400), `ERR_IOL_TIMED_OUT` after `bodyTimeoutMs` without a byte (408),
 * `ERR_IOL_ABORTED` when the client has left or ended in the middle, `ERR_IOL_CLOSED` once the
 * request was answered, and the errors of a full pool, after which the read may be tried again.
 *
 * @example
 * ```ts
 * for await (using part of request.body) await iolWrite(fd, part);
 * ```
 */
export class HttpRequestBody implements ByteSource, AsyncIterable<Aggregate> {
  readonly #server: NativeServer;
  readonly #slot: number;
  readonly #epoch: number;
  #last: Promise<unknown> = Promise.resolve();
  readonly #change = new Waiting();
  #failure: (() => IolError) | undefined;

  /** @internal */
  constructor(server: NativeServer, slot: number, epoch: number) {
    this.#server = server;
    this.#slot = slot;
    this.#epoch = epoch;
  }

  /**
   * The next bytes, at least 1 and at most `size` (default 64 KiB, at most 16 MiB), or null at the
   * end. Reads follow each other in the order of the calls. The aggregate is yours to dispose.
   *
   * @remarks One or two system calls; no byte is copied in user space but those that came with the
   * head or between two chunks (reason `head`).
   */
  read(size = pieceBytesDefault, options: BodyReadOptions = {}): Promise<Aggregate | null> {
    validateInteger(size, 'size', 1, Number.MAX_SAFE_INTEGER);
    validateObject(options, 'options');
    const { signal, pool } = options;
    validateAbortSignal(signal, 'options.signal');
    if (pool !== undefined && !(pool instanceof Pool)) {
      throw invalidType('options.pool', 'an instance of Pool', pool);
    }
    const reading = this.#last.then(() => this.#read(Math.min(size, pieceBytesMax), signal, pool));
    this.#last = reading.catch(() => undefined);
    return reading;
  }

  /** All parts until the end; leaving the loop early leaves the rest unread. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Aggregate, void, undefined> {
    for (let part = await this.read(); part !== null; part = await this.read()) yield part;
  }

  /** @internal For iolRead. */
  [readBytes](
    size: number, options: { pool?: Pool | undefined; signal?: AbortSignal | undefined },
  ): Promise<Aggregate | null> {
    return this.read(size, options);
  }

  /** @internal More may be there. */
  continue(): void {
    this.#change.tell();
  }

  /** @internal Nothing can be read any more. */
  end(failure: () => IolError): void {
    this.#failure ??= failure;
    this.#change.fail(failure());
  }

  async #read(
    size: number, signal: AbortSignal | undefined, pool: Pool | undefined,
  ): Promise<Aggregate | null> {
    for (;;) {
      if (signal?.aborted === true) throw abortedError(signal);
      if (this.#failure !== undefined) throw this.#failure();
      const handle = this.#tryRead(size, pool);
      if (handle > 0) return adoptAggregate(handle, native.scratch[0]!);
      if (handle === 0) return null;
      await this.#change.untilTold(signal);
    }
  }

  #tryRead(size: number, pool: Pool | undefined): number {
    const poolHandle = pool === undefined ? 0 : handleOf(pool);
    try {
      return native.httpReadBody(this.#server, this.#slot, this.#epoch, size, poolHandle);
    } catch (error) {
      throw this.#failure?.() ?? error;  // The call may have found out that the client has left.
    }
  }
}

/** @internal The failure of reads of a request that was answered. */
export function answeredError(): IolError {
  return closedError('request was answered and its body');
}
