/**
 * A request on its way through a worker, at the server: the answer's frames in, the body's out.
 */
import { Aggregate } from './aggregate';
import {
  creditBytes, Frame, frame, isLast, longTextBytesMax, textInPayload, textOf, type Received,
} from './cgi-frames';
import { areFieldLines } from './cgi-head';
import { isBodiless } from './cgi-response';
import { isIolError } from './errors';
import type { HttpRequest } from './http-request';
import { STATUS_CODES } from 'node:http';

/** Sends to the worker. */
export type Send = (bytes: Aggregate | undefined, metadata: Uint8Array) => void;

const headsMax = 256;
const pieceBytes = 64 << 10;
// A worker that keeps to its credit never has so many parts unsent.
const partsMax = 65_536;

/** Heads by what they were made from: a worker that answers alike costs one look-up. */
export class Heads {
  readonly #heads = new Map<string, Aggregate>();

  /** Undefined when the text is no header lines. The aggregate stays ours. */
  get(status: number, length: number, text: string): Aggregate | undefined {
    const key = `${status} ${length} ${text}`;
    const found = this.#heads.get(key);
    if (found !== undefined) return found;
    if (status < 200 || status > 599 || !areFieldLines(text)) return undefined;
    const lengthLine = length < 0 || isBodiless(status) ? '' : `Content-Length: ${length}\r\n`;
    const reason = STATUS_CODES[status] ?? 'Unknown';
    const made = Aggregate.fromText(`HTTP/1.1 ${status} ${reason}\r\n${text}${lengthLine}`, 'latin1');
    if (this.#heads.size >= headsMax) this.clear();
    this.#heads.set(key, made);
    return made;
  }

  clear(): void {
    for (const head of this.#heads.values()) head.dispose();
    this.#heads.clear();
  }
}

/** What is to be told about a request. */
export interface Outcome {
  /** The worker has answered, failed, or is not waited for any more. */
  done(): void;
  log(line: string): void;
}

/** See the head of this file. */
export class WorkerRequest {
  /** The sweep in which something last happened. */
  lastSweep: number;
  readonly #request: HttpRequest;
  readonly #id: number;
  readonly #send: Send;
  readonly #heads: Heads;
  readonly #outcome: Outcome;
  #hasBegun = false;
  #isDone = false;
  #parts = 0;
  #writing: Promise<void> = Promise.resolve();
  #credit = 0;
  #isPumping = false;
  #isReading = false;
  #wakePump: (() => void) | undefined;

  constructor(
    request: HttpRequest, id: number, sweep: number, send: Send, heads: Heads, outcome: Outcome,
  ) {
    this.#request = request;
    this.#id = id;
    this.lastSweep = sweep;
    this.#send = send;
    this.#heads = heads;
    this.#outcome = outcome;
    request.whenLeft = () => this.#cancel();
  }

  /** Nothing happens because the client sends nothing, or takes nothing. */
  get waitsForClient(): boolean {
    return this.#parts > 0 || this.#isReading;
  }

  /** A frame of the worker. Takes the payload over. False: it broke the rules. */
  onFrame(received: Received, metadata: Buffer, payload: Aggregate): boolean {
    switch (received.kind) {
      case Frame.Head: return this.#onHead(received, metadata, payload);
      case Frame.Part: return this.#onPart(received, payload);
      default: payload.dispose();
    }
    if (received.kind === Frame.BodyCredit) this.#onCredit(received.length);
    else if (received.kind === Frame.Failed) this.fail(502, `has failed: ${textOf(metadata)}`);
    return true;
  }

  #onHead({ flags, small: status, length }: Received, metadata: Buffer, payload: Aggregate): boolean {
    if (this.#hasBegun) {
      payload.dispose();
      return false;
    }
    let text = textOf(metadata);
    if ((flags & textInPayload) !== 0) {
      const size = Number(text);
      if (!(size >= 0 && size <= Math.min(longTextBytesMax, payload.byteLength))) {
        payload.dispose();
        return false;
      }
      text = payload.toString('latin1', 0, size);
      payload.consume(size);
    }
    const head = this.#heads.get(status, length, text);
    if (head === undefined) {
      payload.dispose();
      return false;
    }
    this.#hasBegun = true;
    if ((flags & isLast) !== 0) return this.#respond(status, length, head, payload);
    this.#request.start(head, isBodiless(status) ? 0 : length < 0 ? 'chunked' : length);
    payload.dispose();
    return true;
  }

  #respond(status: number, length: number, head: Aggregate, body: Aggregate): boolean {
    const isWhole = body.byteLength === length;
    // A client that has left makes this a no-op.
    if (isWhole) this.#request.respond(head, isBodiless(status) ? null : body);
    body.dispose();
    if (isWhole) this.#finish();
    else this.#hasBegun = false;
    return isWhole;
  }

  #onPart({ flags }: Received, payload: Aggregate): boolean {
    if (!this.#hasBegun || this.#parts >= partsMax) {
      payload.dispose();
      return false;
    }
    this.#parts++;
    this.#writing = this.#writing.then(() => this.#write(payload, (flags & isLast) !== 0));
    return true;
  }

  // Never rejects.
  async #write(payload: Aggregate, isEnd: boolean): Promise<void> {
    using part = payload;
    try {
      const { byteLength } = part;
      if (byteLength > 0 && !this.#isDone) await this.#request.write(part);
      this.#parts--;
      if (this.#isDone) return;
      if (isEnd) {
        this.#request.end();
        this.#finish();
      } else {
        this.#send(undefined, frame(Frame.AnswerCredit, this.#id, 0, 0, byteLength));
      }
    } catch (error) {
      // More than it promised, or no memory; a client that leaves has cancelled it already.
      if (!this.#isDone) this.fail(502, (error as Error).message);
    }
  }

  #onCredit(length: number): void {
    if (length > 0) this.#credit += Math.min(length, creditBytes);
    this.#wakePump?.();
    if (this.#isPumping) return;
    this.#isPumping = true;
    void this.#pump();
  }

  // The request's body, as far as the worker wants it. Never rejects.
  async #pump(): Promise<void> {
    try {
      while (!this.#isDone) {
        if (this.#credit <= 0) {
          await new Promise<void>((resolve) => (this.#wakePump = resolve));
          continue;
        }
        this.#isReading = true;
        using part = await this.#request.body.read(pieceBytes);
        this.#isReading = false;
        if (this.#isDone) return;
        if (part === null) return this.#send(undefined, frame(Frame.Body, this.#id, isLast));
        this.#credit -= part.byteLength;
        this.#send(part, frame(Frame.Body, this.#id));
      }
    } catch (error) {
      if (this.#isDone) return;
      const status = bodyStatus(isIolError(error) ? error.code : '');
      this.#answer(status);
      this.#cancel();
    }
  }

  /** No answer will come: the client is told, or cut. */
  fail(status: number, reason: string): void {
    if (this.#isDone) return;
    this.#outcome.log(reason);
    this.#answer(status);
    this.#finish();
  }

  /** As fail(), and the worker is told that nobody waits. */
  giveUp(status: number, reason: string): void {
    if (this.#isDone) return;
    this.fail(status, reason);
    this.#send(undefined, frame(Frame.Cancel, this.#id));
  }

  #answer(status: number): void {
    const request = this.#request;
    request.whenLeft = undefined;
    if (!request.isOpen) return;
    if (this.#hasBegun) request.abort();
    else request.refuse(status, { close: [400, 408, 413].includes(status) });
  }

  #cancel(): void {
    if (this.#isDone) return;
    this.#send(undefined, frame(Frame.Cancel, this.#id));
    this.#finish();
  }

  #finish(): void {
    this.#isDone = true;
    this.#request.whenLeft = undefined;
    this.#wakePump?.();
    this.#outcome.done();
  }
}

function bodyStatus(code: string): number {
  switch (code) {
    case 'ERR_IOL_TOO_LARGE': return 413;
    case 'ERR_IOL_TIMED_OUT': return 408;
    case 'ERR_IOL_BAD_BODY':
    case 'ERR_IOL_ABORTED': return 400;
    default: return 503;
  }
}
