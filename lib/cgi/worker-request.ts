/**
 * A request on its way through a worker, at the server: the answer's frames in, the body's out.
 */
import { STATUS_CODES } from 'node:http';

import { adoptAggregate, Aggregate } from '../aggregate/aggregate';
import { IolError, isIolError } from '../errors';
import type { HttpRequest } from '../http/request';
import type { CachedFile } from '../io/file-cache';
import { native } from '../native';
import { handleOf } from '../resource';
import type { Pool } from '../window/pool';
import { bytesAsked, parseFileRange, type FileRange } from './file-range';
import {
  creditBytes, Frame, headsMax, isHeadOnly, isKnownHead, isLast, longFileTextBytesMax, longTextBytesMax,
  putFrame, receivedText, textBytesMax, textInPayload, type Received,
} from './frames';
import { areFieldLines } from './head';
import { isBodiless } from './response';
import { filePartBytes, streamFile, type WorkerFiles } from './worker-files';

const { aggregateDispose, scratch } = native;

// Heads that were made of all that one worker has sent.
const madeMax = 256;
const pieceBytes = 64 << 10;
// A worker that keeps to its credit never has so many parts unsent.
const partsMax = 65_536;

interface HeadText {
  readonly status: number;
  readonly text: string;
}

interface Head extends HeadText {
  /** By the length of the body. */
  readonly made: Map<number, Aggregate>;
}

// For a body of `length` bytes, or of an unknown length, -1.
function makeHead({ status, text }: HeadText, length: number): Aggregate {
  const lengthLine = length < 0 || isBodiless(status) ? '' : `Content-Length: ${length}\r\n`;
  const reason = STATUS_CODES[status] ?? 'Unknown';
  return Aggregate.fromText(`HTTP/1.1 ${status} ${reason}\r\n${text}${lengthLine}`, 'latin1');
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

  find(number: number): HeadText | undefined {
    return this.#heads[number];
  }

  /** For a body of `length` bytes, or of an unknown length, -1. The aggregate stays ours. */
  get(number: number, length: number): Aggregate {
    const known = this.#heads[number]!;
    const found = known.made.get(length);
    if (found !== undefined) return found;
    if (this.#made >= madeMax) this.#dropAll();
    const head = makeHead(known, length);
    known.made.set(length, head);
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
  /** Those that it may name. */
  readonly files: WorkerFiles | undefined;
  /** Where bodies for it are received. */
  readonly bodyPool: Pool;
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
  // A file was named, and it is not known yet whether it can be given.
  #isGiving = false;
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

  /** It is not the worker that nothing comes from, but the client, or the disk. */
  get waitsForOthers(): boolean {
    return this.#parts > 0 || this.#isReading || this.#isGiving;
  }

  /** A frame of the worker. Takes the payload, a handle, over. False: it broke the rules. */
  onFrame(received: Received, payload: number): boolean {
    const byteLength = scratch[0]!;
    switch (received.kind) {
      case Frame.Head: return this.#onHead(received, payload, byteLength);
      case Frame.Part: return this.#onPart(received, adoptAggregate(payload, byteLength));
      case Frame.File: return this.#onFile(received, adoptAggregate(payload, byteLength));
      default: aggregateDispose(payload);
    }
    if (received.kind === Frame.BodyCredit) this.#onCredit(received.length);
    else if (received.kind === Frame.Failed) this.fail(502, `has failed: ${receivedText()}`);
    return true;
  }

  #onHead(received: Received, payload: number, byteLength: number): boolean {
    const { flags, length, head } = received;
    if (this.#hasBegun || this.#isGiving) {
      aggregateDispose(payload);
      return false;
    }
    if ((flags & isKnownHead) === 0) {
      using bytes = adoptAggregate(payload, byteLength);
      if (!this.#addHead(received, bytes)) return false;
      return (flags & isHeadOnly) !== 0 ||
        this.#begin(head, flags, length, handleOf(bytes), bytes.byteLength);
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
    const status = this.#worker.heads.find(number)?.status;
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

  #onFile(received: Received, payload: Aggregate): boolean {
    using bytes = payload;
    const { head: number } = received;
    const isLong = (received.flags & textInPayload) !== 0;
    if (isLong && bytes.byteLength > longFileTextBytesMax) return false;
    const range = parseFileRange(isLong ? bytes.toString('latin1') : receivedText(), received.length);
    const head = this.#worker.heads.find(number);
    if (this.#hasBegun || this.#isGiving || range === undefined) return false;
    if (head === undefined || isBodiless(head.status)) return false;
    this.#isGiving = true;
    void this.#giveFile(range, number, head);
    return true;
  }

  // Never rejects. What is in memory is given in this turn.
  async #giveFile(range: FileRange, number: number, text: HeadText): Promise<void> {
    const { files, heads } = this.#worker;
    try {
      if (files === undefined) {
        throw new IolError(
          'ERR_IOL_REFUSED', `'${range.path}' was refused by the server: it gives no files to workers`,
          { path: range.path });
      }
      const known = files.tryOpen(range.path);
      using file = known ?? await files.open(range.path);
      const length = bytesAsked(range, file.byteLength);
      // Why not the kept one later: its number may be another head's by now.
      using head = known === undefined ? makeHead(text, length) : heads.get(number, length).clone();
      await this.#sendFile(head, file, range.offset, length);
    } catch (error) {
      this.#refuseFile(error);
    }
  }

  // Rejects only while nothing was sent.
  async #sendFile(head: Aggregate, file: CachedFile, offset: number, length: number): Promise<void> {
    const request = this.#request;
    if (this.#isDone) return;
    if (request.method === 'HEAD') {
      request.respond(head);
      return this.#finishFile();
    }
    if (length <= filePartBytes && request.respondFile(head, file, offset, length)) {
      return this.#finishFile();
    }
    using first = await file.read(offset, Math.min(length, filePartBytes));
    if (this.#isDone) return;
    if (length <= filePartBytes) {
      request.respond(head, first);
      return this.#finishFile();
    }
    request.start(head, length);
    this.#finishFile();
    await streamFile(request, file, first, offset, offset + length, (line) => this.#worker.log(line));
  }

  // The worker has no part in it any more.
  #finishFile(): void {
    if (this.#isDone) return;
    this.#worker.send(undefined, putFrame(Frame.FileTaken, this.#id));
    this.#finish();
  }

  #refuseFile(error: unknown): void {
    if (this.#isDone) return;
    this.#isGiving = false;
    const { code = '', errno = 0, syscall = '', message } = error as Partial<IolError> & Error;
    const text = Buffer.from(`${code}\n${syscall}\n${message}`).toString('latin1', 0, textBytesMax);
    this.#worker.send(undefined, putFrame(Frame.FileRefused, this.#id, 0, 0, errno, text));
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
        using part = await this.#request.body.read(pieceBytes, { pool: this.#worker.bodyPool });
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
