/**
 * A request on its way through a worker, at the server: the answer's frames in, the body's out.
 */
import { STATUS_CODES } from 'node:http';

import { adoptAggregate, Aggregate } from './aggregate';
import {
  creditBytes, Frame, headsMax, isKnownHead, isLast, longTextBytesMax, putFrame, receivedText,
  textInPayload, type Received,
} from './cgi-frames';
import { areFieldLines } from './cgi-head';
import { isBodiless } from './cgi-response';
import { isIolError } from './errors';
import type { HttpRequest } from './http-request';
import { native } from './native';
import { handleOf } from './resource';

const { aggregateDispose, scratch } = native;

// Heads that were made of all that one worker has sent.
const madeMax = 256;
const pieceBytes = 64 << 10;
// A worker that keeps to its credit never has so many parts unsent.
const partsMax = 65_536;

interface Head {
  readonly status: number;
  readonly text: string;
  /** By the length of the body. */
  readonly made: Map<number, Aggregate>;
}

/** The heads of one worker, by their numbers. */
export class Heads {
  readonly #heads: (Head | undefined)[] = [];
  #made = 0;

  /** False when the text is no header lines, or the number is too large. */
  add(number: number, status: number, text: string): boolean {
    if (number >= headsMax || status < 200 || status > 599 || !areFieldLines(text)) return false;
    const before = this.#heads[number];
    if (before?.status === status && before.text === text) return true;
    if (before !== undefined) this.#drop(before);
    this.#heads[number] = { status, text, made: new Map() };
    return true;
  }

  statusOf(number: number): number | undefined {
    return this.#heads[number]?.status;
  }

  /** For a body of `length` bytes, or of an unknown length, -1. The aggregate stays ours. */
  get(number: number, length: number): Aggregate {
    const { status, text, made } = this.#heads[number]!;
    const found = made.get(length);
    if (found !== undefined) return found;
    if (this.#made >= madeMax) this.#dropAll();
    const lengthLine = length < 0 || isBodiless(status) ? '' : `Content-Length: ${length}\r\n`;
    const reason = STATUS_CODES[status] ?? 'Unknown';
    const head = Aggregate.fromText(`HTTP/1.1 ${status} ${reason}\r\n${text}${lengthLine}`, 'latin1');
    made.set(length, head);
    this.#made++;
    return head;
  }

  #drop({ made }: Head): void {
    this.#made -= made.size;
    for (const head of made.values()) head.dispose();
    made.clear();
  }

  #dropAll(): void {
    for (const head of this.#heads) if (head !== undefined) this.#drop(head);
  }

  clear(): void {
    this.#dropAll();
    this.#heads.length = 0;
  }
}

/** The worker of a request. */
export interface RequestWorker {
  readonly heads: Heads;
  /** Sends the frame that putFrame() has made. */
  send(bytes: Aggregate | undefined, frameBytes: number): void;
  /** It has answered, failed, or is not waited for any more. */
  done(id: number): void;
  log(line: string): void;
}

/** See the head of this file. */
export class WorkerRequest {
  /** The sweep in which something last happened. */
  lastSweep: number;
  readonly #request: HttpRequest;
  readonly #id: number;
  readonly #worker: RequestWorker;
  #hasBegun = false;
  #isDone = false;
  #parts = 0;
  #writing: Promise<void> | undefined;
  #credit = 0;
  #isPumping = false;
  #isReading = false;
  #wakePump: (() => void) | undefined;

  constructor(request: HttpRequest, id: number, sweep: number, worker: RequestWorker) {
    this.#request = request;
    this.#id = id;
    this.lastSweep = sweep;
    this.#worker = worker;
    request.whenLeft = () => this.#cancel();
  }

  /** Nothing happens because the client sends nothing, or takes nothing. */
  get waitsForClient(): boolean {
    return this.#parts > 0 || this.#isReading;
  }

  /** A frame of the worker. Takes the payload, a handle, over. False: it broke the rules. */
  onFrame(received: Received, payload: number): boolean {
    const byteLength = scratch[0]!;
    switch (received.kind) {
      case Frame.Head: return this.#onHead(received, payload, byteLength);
      case Frame.Part: return this.#onPart(received, adoptAggregate(payload, byteLength));
      default: aggregateDispose(payload);
    }
    if (received.kind === Frame.BodyCredit) this.#onCredit(received.length);
    else if (received.kind === Frame.Failed) this.fail(502, `has failed: ${receivedText()}`);
    return true;
  }

  #onHead(received: Received, payload: number, byteLength: number): boolean {
    const { flags, length, head } = received;
    if (this.#hasBegun) {
      aggregateDispose(payload);
      return false;
    }
    if ((flags & isKnownHead) === 0) {
      using bytes = adoptAggregate(payload, byteLength);
      return this.#addHead(received, bytes) && this.#begin(head, flags, length, handleOf(bytes), bytes.byteLength);
    }
    const isTaken = this.#begin(head, flags, length, payload, byteLength);
    aggregateDispose(payload);
    return isTaken;
  }

  #addHead({ flags, small, head }: Received, payload: Aggregate): boolean {
    let text = receivedText();
    if ((flags & textInPayload) !== 0) {
      const size = Number(text);
      if (!(size >= 0 && size <= Math.min(longTextBytesMax, payload.byteLength))) return false;
      text = payload.toString('latin1', 0, size);
      payload.consume(size);
    }
    return this.#worker.heads.add(head, small, text);
  }

  // The payload stays the caller's.
  #begin(number: number, flags: number, length: number, payload: number, byteLength: number): boolean {
    const status = this.#worker.heads.statusOf(number);
    if (status === undefined) return false;
    const isWhole = (flags & isLast) !== 0;
    if (isWhole && byteLength !== length) return false;
    try {
      const head = this.#worker.heads.get(number, length);
      // A client that has left makes these a no-op.
      if (isWhole) this.#request.respondHeld(handleOf(head), isBodiless(status) ? 0 : payload);
      else this.#request.start(head, isBodiless(status) ? 0 : length < 0 ? 'chunked' : length);
    } catch (error) {
      this.giveUp(502, (error as Error).message);
      return true;
    }
    this.#hasBegun = true;
    if (isWhole) this.#finish();
    return true;
  }

  #onPart({ flags }: Received, payload: Aggregate): boolean {
    if (!this.#hasBegun || this.#parts >= partsMax) {
      payload.dispose();
      return false;
    }
    this.#parts++;
    const isEnd = (flags & isLast) !== 0;
    this.#writing = (this.#writing ?? Promise.resolve()).then(() => this.#write(payload, isEnd));
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
        this.#worker.send(undefined, putFrame(Frame.AnswerCredit, this.#id, 0, 0, byteLength));
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
        if (part === null) return this.#worker.send(undefined, putFrame(Frame.Body, this.#id, isLast));
        this.#credit -= part.byteLength;
        this.#worker.send(part, putFrame(Frame.Body, this.#id));
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
    this.#worker.log(reason);
    this.#answer(status);
    this.#finish();
  }

  /** As fail(), and the worker is told that nobody waits. */
  giveUp(status: number, reason: string): void {
    if (this.#isDone) return;
    this.fail(status, reason);
    this.#worker.send(undefined, putFrame(Frame.Cancel, this.#id));
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
    this.#worker.send(undefined, putFrame(Frame.Cancel, this.#id));
    this.#finish();
  }

  #finish(): void {
    this.#isDone = true;
    this.#request.whenLeft = undefined;
    this.#wakePump?.();
    this.#worker.done(this.#id);
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
