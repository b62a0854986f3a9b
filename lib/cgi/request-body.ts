/**
 * The body of a request, as a worker has it.
 */
import { abortedError, Waiting } from '../abort';
import type { Aggregate } from '../aggregate/aggregate';
import { readBytes, type ByteSource } from '../aggregate/byte-source';
import { IolError } from '../errors';
import { validateInteger } from '../validate';
import { creditBytes, Frame, putFrame } from './frames';
import type { WorkerLink } from './request';

/** @internal */
export function leftError(): IolError {
  return new IolError('ERR_IOL_ABORTED', 'The client has left, or nobody waits any more');
}

/**
 * The body of a request to a worker: aggregates in the order of their bytes, in the server's memory,
 * read-only here. They come as they are received; no more than 1 MiB is on its way unasked.
 */
export class CgiRequestBody implements ByteSource, AsyncIterable<Aggregate> {
  readonly #link: WorkerLink;
  readonly #id: number;
  readonly #parts: Aggregate[] = [];
  #hasEnded: boolean;
  #failure: (() => IolError) | undefined;
  readonly #change = new Waiting();
  #last: Promise<unknown> = Promise.resolve();
  #owed = creditBytes;  // Of credit, to be given with the next read.

  /** @internal */
  constructor(link: WorkerLink, id: number, isThere: boolean) {
    this.#link = link;
    this.#id = id;
    this.#hasEnded = !isThere;
  }

  /**
   * The next bytes, at least 1 and at most `size`, or null at the end. Yours to dispose.
   *
   * @throws {IolError} `ERR_IOL_ABORTED` when the client has left or its body is refused (too long,
   * malformed, late), `ERR_IOL_CLOSED` once the request was answered.
   */
  read(
    size: number = Number.MAX_SAFE_INTEGER, options: { signal?: AbortSignal | undefined } = {},
  ): Promise<Aggregate | null> {
    validateInteger(size, 'size', 1);
    const reading = this.#last.then(() => this.#read(size, options.signal));
    this.#last = reading.catch(() => undefined);
    return reading;
  }

  /** All parts until the end. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Aggregate, void, undefined> {
    for (let part = await this.read(); part !== null; part = await this.read()) yield part;
  }

  /** @internal For iolRead. */
  [readBytes](
    size: number, options: { signal?: AbortSignal | undefined },
  ): Promise<Aggregate | null> {
    return this.read(size, options);
  }

  async #read(size: number, signal: AbortSignal | undefined): Promise<Aggregate | null> {
    for (;;) {
      if (signal?.aborted === true) throw abortedError(signal);
      const part = this.#parts[0];
      if (part !== undefined) {
        const taken = part.byteLength > size ? part.split(size) : this.#parts.shift()!;
        this.#owed += taken.byteLength;
        return taken;
      }
      if (this.#failure !== undefined) throw this.#failure();
      if (this.#hasEnded) return null;
      if (this.#owed >= creditBytes / 4) {
        this.#link.reply(undefined, putFrame(Frame.BodyCredit, this.#id, 0, 0, this.#owed));
        this.#owed = 0;
      }
      await this.#change.untilTold(signal);
    }
  }

  /** @internal Takes the part over. */
  onPart(part: Aggregate, isEnd: boolean): void {
    if (part.byteLength > 0 && this.#failure === undefined) this.#parts.push(part);
    else part.dispose();
    this.#hasEnded ||= isEnd;
    this.#change.tell();
  }

  /** @internal Nothing can be read any more. */
  end(failure: () => IolError): void {
    if (this.#failure !== undefined) return;
    this.#failure = failure;
    for (const part of this.#parts.splice(0)) part.dispose();
    this.#change.fail(failure());
  }
}
