/**
 * One request of lib/http.ts, and what can be done with it.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Waiter } from '../abort';

import { Aggregate, HeldBytes } from '../aggregate/aggregate';
import { closedError, IolError } from '../errors';
import { cacheHandleOf, CachedFile } from '../io/file-cache';
import { native } from '../native';
import { handleOf } from '../resource';
import {
  invalidType, outOfRange, validateInteger, validateOneOf, validateString,
} from '../validate';
import { type AnswerRepeat, proposeRepeat, type RespondOptions } from './answer';
import { answeredError, HttpRequestBody } from './body';
import { joinFields } from './fields';
import type { NativeServer } from './native';

/**
 * Headers that can change an answer, as bits of {@link HttpRequest.interests}: one test says that a
 * request is plain, without a look at any header.
 */
export const Interest = Object.freeze({
  AcceptEncoding: 1 << 0,
  Connection: 1 << 1,
  ContentLength: 1 << 2,
  Expect: 1 << 3,
  Host: 1 << 4,
  IfMatch: 1 << 5,
  IfModifiedSince: 1 << 6,
  IfNoneMatch: 1 << 7,
  IfRange: 1 << 8,
  IfUnmodifiedSince: 1 << 9,
  Range: 1 << 10,
  TransferEncoding: 1 << 11,
  Upgrade: 1 << 12,
});

/** In the order of the native enum; anything else is read as it was received. */
const methods = [
  'GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT', 'PATCH',
] as const;

// Why taken out: the addon's exports are a dictionary, in which every look-up costs a hash.
const { httpCopyRequest, httpRespond, httpRespondFile, httpValueId } = native;

enum State { Undecided, Streaming, Answered, Left }

/** @internal The handle of what must be bytes. */
export function heldHandle(value: unknown, name: string): number {
  if (!(value instanceof HeldBytes)) {
    throw invalidType(name, 'an instance of Aggregate or IolBuffer', value);
  }
  return handleOf(value);
}

function leftError(): IolError {
  return new IolError('ERR_IOL_ABORTED', 'The client has left before its answer was complete');
}

/**
 * One request. It is to be answered once: by {@link respond}, or in parts by {@link start},
 * {@link write} and {@link end}; when, is the program's decision. A client that leaves meanwhile is
 * no error: the answer has nowhere to go, and all but `write` do nothing then.
 */
export class HttpRequest {
  /** As it was received, nearly always in capitals: `GET`. */
  readonly method: string;
  /** Path and query as they were received, not decoded; `*` and an authority as they are. */
  readonly target: string;
  /** 0 or 1, of HTTP/1.x. */
  readonly versionMinor: number;
  /** Whether it came by HTTPS. */
  readonly isSecure: boolean;
  /** The headers in {@link Interest} that are there, as bits. */
  readonly interests: number;
  /** Those that are there more than once. */
  readonly repeatedInterests: number;

  /** @internal */
  readonly slot: number;
  /** @internal */
  readonly epoch: number;
  private readonly server: NativeServer;
  private state = State.Undecided;
  private joined: IncomingHttpHeaders | undefined;
  private bodyLeft = 0;
  /** Of a chunked answer: what ends it, made beforehand so that a full pool cannot stop that. */
  private lastChunk: Aggregate | undefined;
  private bodyReader: HttpRequestBody | undefined;
  private leaving: AbortController | undefined;
  /** @internal Called when the client has left before the answer was complete. */
  whenLeft: (() => void) | undefined;
  private waiters: Waiter[] | undefined;
  private registry: Map<number, HttpRequest> | undefined;

  /** @internal */
  constructor(server: NativeServer, target: string, record: Uint32Array) {
    const facts = record[2]!;
    this.server = server;
    this.target = target;
    this.slot = record[0]!;
    this.epoch = record[1]!;
    this.versionMinor = facts >>> 8 & 0xff;
    this.isSecure = facts >>> 24 !== 0;
    this.interests = record[3]!;
    this.repeatedInterests = record[4]!;
    this.method = methods[facts & 0xff] ??
      native.httpMethod(server, this.slot, this.epoch) ?? '';
  }

  /** Whether an answer, or the rest of one, still has somebody to go to. */
  get isOpen(): boolean {
    return this.state === State.Undecided || this.state === State.Streaming;
  }

  /**
   * The value of a header, without the white space around it; several of one name are joined by
   * `', '`. `undefined` when it is not there.
   *
   * @param name in any case
   * @throws {IolError} `ERR_IOL_CLOSED` once the answer was given or the client has left.
   * @remarks O(number of headers); read what you need once.
   */
  header(name: string): string | undefined {
    validateString(name, 'name');
    if (!this.isOpen) throw closedError('request');
    if (name.length > 127) return undefined;
    return native.httpHeader(this.server, this.slot, this.epoch, name.toLowerCase());
  }

  /**
   * A number for the value of one of the headers in {@link Interest}, by which to decide once per
   * value: equal values have the same number while they are among the last 32 of this thread, and
   * none is ever used for another value. 0 for what is absent, repeated, longer than 256 bytes, or
   * not in one piece: then read the {@link header}.
   *
   * @throws {IolError} `ERR_IOL_CLOSED` as {@link header}; `ERR_OUT_OF_RANGE` for several at once.
   * @remarks Makes no string.
   */
  valueId(interest: number): number {
    if (!this.isOpen) throw closedError('request');
    if ((this.interests & interest) === 0) {
      validateInteger(interest, 'interest', 1);
      return 0;
    }
    if ((interest & (interest - 1)) !== 0) throw outOfRange('interest', 'one of Interest', interest);
    return httpValueId(this.server, this.slot, this.epoch, 31 - Math.clz32(interest));
  }

  /**
   * The body, as it arrives; one without bytes ends at once. See {@link HttpRequestBody}.
   */
  get body(): HttpRequestBody {
    if (this.bodyReader === undefined) {
      this.bodyReader = new HttpRequestBody(this.server, this.slot, this.epoch);
      if (this.state === State.Answered) this.bodyReader.end(answeredError);
      if (this.state === State.Left) this.bodyReader.end(leftError);
    }
    return this.bodyReader;
  }

  /** Aborted when the client has left before the answer was complete. */
  get signal(): AbortSignal {
    if (this.leaving === undefined) {
      this.leaving = new AbortController();
      if (this.state === State.Left) this.leaving.abort(leftError());
    }
    return this.leaving.signal;
  }

  /**
   * Names and values of all headers in turn, as they were received; `Host` of an absolute target is the target's.
   *
   * @throws {IolError} `ERR_IOL_CLOSED` as {@link header}.
   */
  get rawHeaders(): string[] {
    if (!this.isOpen) throw closedError('request');
    return native.httpHeaders(this.server, this.slot, this.epoch);
  }

  /**
   * All headers as Node's `http` has them: names in lower case; several of one name joined by `', '` (of
   * `cookie` by `'; '`), or the first where there should be one only; `set-cookie` as a list. Made at the
   * first look, and kept.
   *
   * @throws {IolError} `ERR_IOL_CLOSED` as {@link header}, unless it was looked at before.
   */
  get headers(): IncomingHttpHeaders {
    this.joined ??= joinFields(this.rawHeaders);
    return this.joined;
  }

  /**
   * The addresses of this connection: of the client, or of the server. One system call.
   *
   * @throws {IolError} `ERR_IOL_CLOSED` as {@link header}, `ERR_IOL_SYSTEM` (ENOTCONN).
   */
  address(side: 'client' | 'server'): { address: string; port: number } {
    validateOneOf(side, 'side', ['client', 'server']);
    if (!this.isOpen) throw closedError('request');
    const address = native.httpAddress(this.server, this.slot, this.epoch, side === 'server');
    return { address, port: native.scratch[0]! };
  }

  /**
   * Answers the request.
   *
   * `head` is the status line and the header lines, each with CRLF; `Content-Length` is the
   * caller's business and must be that of `body`. The connection adds `Date`, `Connection` and the
   * empty line. For HEAD the body is not sent. Borrows both: they may be disposed right away, or
   * kept and used for ever.
   *
   * @throws {TypeError} `ERR_INVALID_ARG_VALUE` when `head` is not of that form.
   * @throws {IolError} `ERR_IOL_CLOSED` when this request was answered before, or head or body were
   * released; `ERR_IOL_TOO_MANY_SLICES`. After these the request is still to be answered.
   * @remarks One system call for up to 64 slices that the socket takes at once; no byte is copied
   * in user space, nothing is allocated.
   */
  respond(head: HeldBytes, body?: HeldBytes | null, options?: RespondOptions): void {
    if (this.state !== State.Undecided) return this.refuseState(State.Undecided);
    const headHandle = heldHandle(head, 'head');
    const bodyHandle = body === undefined || body === null ? 0 : heldHandle(body, 'body');
    const closes = options?.close === true ? 1 : 0;
    if (options?.repeat !== undefined) this.propose(options.repeat, closes);
    httpRespond(this.server, this.slot, this.epoch, headHandle, bodyHandle, closes);
    this.finish(State.Answered);
  }

  /** @internal As respond(), by handles; 0: no body. */
  respondHeld(head: number, body: number): void {
    if (this.state !== State.Undecided) return this.refuseState(State.Undecided);
    httpRespond(this.server, this.slot, this.epoch, head, body, 0);
    this.finish(State.Answered);
  }

  /**
   * Answers with bytes `[offset, offset + length)` of a cached file, when they are in memory and
   * the file is known to be fresh. Else answers nothing and returns false: `open` or `read` the file,
   * then {@link respond}. The cheapest answer there is: no object is made for the body.
   *
   * @throws {IolError} as {@link respond}, and `ERR_IOL_FILE_CHANGED`; the request is still to be
   * answered then.
   * @remarks One system call, no copy in user space, nothing allocated in JavaScript.
   */
  respondFile(
    head: HeldBytes, file: CachedFile, offset = 0, length = file.byteLength,
    options?: RespondOptions,
  ): boolean {
    if (this.state !== State.Undecided) {
      this.refuseState(State.Undecided);
      return true;
    }
    const headHandle = heldHandle(head, 'head');
    if (!(file instanceof CachedFile)) throw invalidType('file', 'an instance of CachedFile', file);
    validateInteger(offset, 'offset');
    validateInteger(length, 'length');
    const closes = options?.close === true ? 1 : 0;
    if (options?.repeat !== undefined) this.propose(options.repeat, closes);
    if (!httpRespondFile(this.server, this.slot, this.epoch, headHandle, closes,
      cacheHandleOf(file), handleOf(file), offset, length)) return false;
    this.finish(State.Answered);
    return true;
  }

  /**
   * Answers with a short text made beforehand, which needs no memory: for when there is none.
   *
   * @param status 400, 408, 413, 414, 417, 431, 500, 501, 502, 503, 504 or 505; anything else counts as 500.
   */
  refuse(status: number, options?: RespondOptions): void {
    validateInteger(status, 'status', 400, 599);
    if (this.state !== State.Undecided) return this.refuseState(State.Undecided);
    const closes = options?.close === true ? 1 : 0;
    native.httpRefuse(this.server, this.slot, this.epoch, status, closes);
    this.finish(State.Answered);
  }

  /**
   * Begins an answer whose body is given in parts. `bodyLength` is what `head` promises as
   * Content-Length; without it the end of the connection ends the body. `'chunked'`: the length is
   * unknown and the connection lives on: `Transfer-Encoding: chunked` is added to `head`, and sizes
   * to the parts; an HTTP/1.0 client gets a body that the end of the connection ends.
   */
  start(head: HeldBytes, bodyLength?: number | 'chunked', options?: RespondOptions): void {
    const isChunked = bodyLength === 'chunked';
    if (bodyLength !== undefined && !isChunked) validateInteger(bodyLength, 'bodyLength');
    if (this.state !== State.Undecided) return this.refuseState(State.Undecided);
    const headHandle = heldHandle(head, 'head');
    const closes = options?.close === true ? 1 : 0;
    let isTaken: boolean;
    if (isChunked && this.versionMinor > 0) {
      isTaken = this.startChunked(head, closes);
    } else {
      const length = isChunked ? -1 : bodyLength ?? -1;
      isTaken = native.httpStart(this.server, this.slot, this.epoch, headHandle, length, closes);
    }
    if (!isTaken) return this.leave();
    this.bodyLeft = isChunked ? Infinity : bodyLength ?? Infinity;
    this.state = State.Streaming;
  }

  private startChunked(head: HeldBytes, closes: number): boolean {
    using chunked = Aggregate.from(head, 'Transfer-Encoding: chunked\r\n');
    this.lastChunk = Aggregate.from('0\r\n\r\n');
    try {
      return native.httpStart(this.server, this.slot, this.epoch, handleOf(chunked), -2, closes);
    } catch (error) {
      this.dropLastChunk();
      throw error;
    }
  }

  private dropLastChunk(): void {
    this.lastChunk?.dispose();
    this.lastChunk = undefined;
  }

  /**
   * Sends a part of the body. Resolves when the next may come: at once, or when the socket has
   * taken what waited. Takes its own holds: the part may be disposed right away.
   *
   * Rejects with `ERR_IOL_ABORTED` when the client has left, `ERR_IOL_CLOSED` when no answer was
   * begun, `ERR_OUT_OF_RANGE` when the part is longer than what `start` left to send.
   */
  async write(part: HeldBytes): Promise<void> {
    if (this.state === State.Left) throw leftError();
    if (this.state !== State.Streaming) throw closedError('request');
    const handle = heldHandle(part, 'part');
    const { byteLength } = part;
    if (byteLength > this.bodyLeft) {
      throw outOfRange('part.byteLength', `<= ${this.bodyLeft}, the rest of the body`, byteLength);
    }
    const outcome = this.lastChunk === undefined
      ? native.httpWrite(this.server, this.slot, this.epoch, handle)
      : this.writeChunk(part);
    this.bodyLeft -= byteLength;
    if (outcome === 1) return;
    if (outcome === 0) {
      this.leave();
      throw leftError();
    }
    await new Promise<void>((resolve, reject) => {
      (this.waiters ??= []).push({ resolve, reject });
    });
  }

  private writeChunk(part: HeldBytes): number {
    const { byteLength } = part;
    if (byteLength === 0) return 1;  // It would be the last one.
    using chunk = Aggregate.from(`${byteLength.toString(16)}\r\n`, part, '\r\n');
    return native.httpWrite(this.server, this.slot, this.epoch, handleOf(chunk));
  }

  /**
   * Ends an answer that was begun by {@link start}. A body shorter than promised cuts the
   * connection: nobody could tell where the next answer begins.
   */
  end(): void {
    if (this.state !== State.Streaming) return this.refuseState(State.Streaming);
    if (this.lastChunk !== undefined) {
      native.httpWrite(this.server, this.slot, this.epoch, handleOf(this.lastChunk));
    }
    native.httpEnd(this.server, this.slot, this.epoch);
    this.finish(State.Answered);
    this.settleWaiters(undefined);
  }

  /** Cuts the connection with a reset, and with it what else was asked on it. */
  abort(): void {
    if (!this.isOpen) return;
    this.leave();
    native.httpAbort(this.server, this.slot, this.epoch);
  }

  /** @internal The socket has taken what waited. */
  continue(): void {
    this.settleWaiters(undefined);
  }

  /**
   * @internal Copies a line with the addresses (see httpCopyRequest) and the head as it was received to
   * `to`, from `at` on, if they fit (reason `head`); their length, and in scratch[0] that of the line.
   */
  copyRequest(to: Uint8Array, at: number): number {
    if (!this.isOpen) throw closedError('request');
    return httpCopyRequest(this.server, this.slot, this.epoch, to, at);
  }

  /** @internal More of the body may be there. */
  continueBody(): void {
    this.bodyReader?.continue();
  }

  /** @internal The client is gone. */
  leave(): void {
    this.finish(State.Left);
    this.settleWaiters(leftError);
    this.leaving?.abort(leftError());
    this.whenLeft?.();
  }

  /** @internal The callback has returned without an answer: from now on events are for it. */
  register(registry: Map<number, HttpRequest>): void {
    registry.set(this.slot, this);
    this.registry = registry;
  }

  /** @internal The callback threw. */
  fail(): void {
    if (this.state === State.Undecided) this.refuse(500, { close: true });
    else this.abort();
  }

  private propose(repeat: AnswerRepeat, closes: number): void {
    if (closes === 0) proposeRepeat(this.server, this.slot, this.epoch, repeat);
  }

  private finish(state: State): void {
    this.state = state;
    this.dropLastChunk();
    this.bodyReader?.end(state === State.Left ? leftError : answeredError);
    if (this.registry?.get(this.slot) === this) this.registry.delete(this.slot);
    this.registry = undefined;
  }

  private settleWaiters(error: (() => IolError) | undefined): void {
    const { waiters } = this;
    if (waiters === undefined) return;
    this.waiters = undefined;
    for (const { resolve, reject } of waiters) {
      if (error === undefined) resolve();
      else reject(error());
    }
  }

  // A client that has left makes every answer a no-op; the rest is the program's mistake.
  private refuseState(wanted: State): void {
    if (this.state === State.Left) return;
    if (wanted === State.Streaming && this.state === State.Undecided) {
      throw closedError('answer was not begun: the request');
    }
    throw closedError('request was answered and');
  }
}
