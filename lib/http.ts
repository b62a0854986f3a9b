/**
 * An HTTP/1 server on the window: requests arrive in it, answers leave it by reference.
 *
 * The native side reads heads, keeps order, persistence, framing, limits and time; TypeScript
 * decides about every request. An answer is one aggregate to the kernel: head, date, body.
 */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';

import { HeldBytes } from './aggregate';
import { closedError, IolError } from './errors';
import { defaultPoolHandle, native } from './native';
import { Pool } from './pool';
import { handleOf } from './resource';
import {
  invalidType, outOfRange, validateBoolean, validateFunction, validateInteger, validateObject,
  validateString,
} from './validate';

declare const serverBrand: unique symbol;
/** A native server; see wrap_http.cc. */
export interface NativeServer { readonly [serverBrand]: true }

declare module './native' {
  interface NativeAddon {
    httpListen(
      pool: number, host: string, numbers: Float64Array, record: Uint32Array,
      onRequest: (target: string) => void,
      onEvent: (event: number, slot: number, epoch: number) => void,
    ): NativeServer;
    /** The host; scratch[0] is the port. */
    httpEndpoint(server: NativeServer): string;
    httpRespond(
      server: NativeServer, slot: number, epoch: number, head: number, body: number, closes: number,
    ): boolean;
    httpRefuse(
      server: NativeServer, slot: number, epoch: number, status: number, closes: number,
    ): boolean;
    httpStart(
      server: NativeServer, slot: number, epoch: number, head: number, bodyBytes: number,
      closes: number,
    ): boolean;
    httpWrite(server: NativeServer, slot: number, epoch: number, part: number): number;
    httpEnd(server: NativeServer, slot: number, epoch: number): boolean;
    httpAbort(server: NativeServer, slot: number, epoch: number): void;
    httpHeader(server: NativeServer, slot: number, epoch: number, name: string): string | undefined;
    httpMethod(server: NativeServer, slot: number, epoch: number): string | undefined;
    httpStats(server: NativeServer): void;
    httpClose(server: NativeServer): void;
    httpDestroy(server: NativeServer): void;
    httpReference(server: NativeServer, keepsLoopAlive: boolean): void;
    httpKnownHeaders(): string[];
  }
}

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

export interface HttpServerOptions {
  /** An address, or a name that is looked up. Default `127.0.0.1`. */
  host?: string;
  /** 0, the default: any free one, see {@link HttpServer.port}. */
  port?: number;
  /** Connections that wait to be accepted. Default 511. */
  backlog?: number;
  /** With an IPv6 host: leave IPv4 to others. Default false. */
  ipv6Only?: boolean;
  /** Where requests are received. Default: the default pool. */
  pool?: Pool;
  /** Of a request head, the empty line included; more is 431. Default 16 KiB, at most 64 KiB. */
  headBytesMax?: number;
  /** Of a request target; more is 414. Default 8 KiB. */
  targetBytesMax?: number;
  /** Header lines of a request; more is 431. Default and maximum 100. */
  headerFieldsMax?: number;
  /** From the first byte of a head to its last; then 408. Default 10 s. */
  headTimeoutMs?: number;
  /** Between requests, and before the first. Default 60 s. */
  idleTimeoutMs?: number;
  /** Without any progress of what is being sent. Default 60 s. */
  sendTimeoutMs?: number;
  /** Open at a time; more wait to be accepted. Default 10,000. */
  connectionsMax?: number;
  /** Undecided requests of one connection; then it is not read on. Default 16, at most 64. */
  pipelineMax?: number;
  /** Of a request body, which is read and dropped; a longer one ends the connection. Default 1 MiB. */
  bodyBytesMax?: number;
  /** Of each connection's send buffer (`SO_SNDBUF`); 0, the default: the system decides. */
  sendBufferBytes?: number;
}

/** Since the server was made, but for `connectionsOpen`. */
export interface HttpServerStats {
  readonly connectionsOpen: number;
  readonly connectionsTotal: number;
  /** Well-formed ones. */
  readonly requests: number;
  readonly responses1xx: number;
  readonly responses2xx: number;
  readonly responses3xx: number;
  readonly responses4xx: number;
  readonly responses5xx: number;
  /** Taken by the kernel. */
  readonly bytesSent: number;
  /** Heads and bodies that were refused natively. */
  readonly malformed: number;
  /** Answered 503 natively because the pool was full. */
  readonly refusedForMemory: number;
  readonly headTimeouts: number;
  readonly idleTimeouts: number;
  readonly sendTimeouts: number;
  /** Requests whose client left before the answer was given completely. */
  readonly clientsLost: number;
  /** System calls that receive, and that send. */
  readonly receives: number;
  readonly sends: number;
  /** Sends that the socket took only a part of. */
  readonly partialSends: number;
  /** Times that accepting was paused: connectionsMax, or no descriptors left. */
  readonly acceptPauses: number;
}

/** In the order of the addon's httpStats(). */
const statNames = [
  'connectionsOpen', 'connectionsTotal', 'requests', 'responses1xx', 'responses2xx',
  'responses3xx', 'responses4xx', 'responses5xx', 'bytesSent', 'malformed', 'refusedForMemory',
  'headTimeouts', 'idleTimeouts', 'sendTimeouts', 'clientsLost', 'receives', 'sends',
  'partialSends', 'acceptPauses',
] as const;

interface NumberOption {
  readonly name: keyof HttpServerOptions;
  readonly fallback: number;
  readonly minimum: number;
  readonly maximum: number;
}

const option = (
  name: keyof HttpServerOptions, fallback: number, minimum: number, maximum: number,
): NumberOption => ({ name, fallback, minimum, maximum });

const timeoutMsMax = 24 * 3600 * 1000;

/** In the order of the addon's httpListen(); ipv6Only, which is none of them, is the third. */
const numberOptions = [
  option('port', 0, 0, 65535),
  option('backlog', 511, 1, 65535),
  option('sendBufferBytes', 0, 0, 1 << 30),
  option('headBytesMax', 16 << 10, 256, 64 << 10),
  option('targetBytesMax', 8 << 10, 1, 64 << 10),
  option('headerFieldsMax', 100, 1, 100),
  option('connectionsMax', 10_000, 1, 1_000_000),
  option('pipelineMax', 16, 1, 64),
  option('bodyBytesMax', 1 << 20, 0, Number.MAX_SAFE_INTEGER),
  option('headTimeoutMs', 10_000, 1, timeoutMsMax),
  option('idleTimeoutMs', 60_000, 1, timeoutMsMax),
  option('sendTimeoutMs', 60_000, 1, timeoutMsMax),
] as const;

function numbersOf(options: HttpServerOptions): Float64Array {
  const { ipv6Only = false } = options;
  validateBoolean(ipv6Only, 'options.ipv6Only');
  const numbers = numberOptions.map(({ name, fallback, minimum, maximum }) => {
    const value = options[name] ?? fallback;
    validateInteger(value, `options.${name}`, minimum, maximum);
    return value;
  });
  numbers.splice(2, 0, ipv6Only ? 1 : 0);
  return Float64Array.from(numbers);
}

async function addressOf(host: unknown): Promise<string> {
  validateString(host, 'options.host');
  if (isIP(host) !== 0) return host;
  return (await lookup(host)).address;
}

const scratch = native.scratch;
// Why taken out: the addon's exports are a dictionary, in which every look-up costs a hash.
const { httpRespond } = native;

// What the native side says about a request beside its target; valid during the callback.
const recordWords = 5;

enum State { Undecided, Streaming, Answered, Left }

/** In the order of HttpBinding::Event. */
enum ServerEvent { Writable, Closed, Drained }

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

function heldHandle(value: unknown, name: string): number {
  if (!(value instanceof HeldBytes)) {
    throw invalidType(name, 'an instance of Aggregate or IolBuffer', value);
  }
  return handleOf(value);
}

function leftError(): IolError {
  return new IolError('ERR_IOL_ABORTED', 'The client has left before its answer was complete');
}

/** Options of one answer. */
export interface RespondOptions {
  /** End the connection after this answer. Default false; the request may want it all the same. */
  close?: boolean;
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
  private bodyLeft = 0;
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
   * @param name in lower case
   * @throws {IolError} `ERR_IOL_CLOSED` once the answer was given or the client has left.
   * @remarks O(number of headers); read what you need once.
   */
  header(name: string): string | undefined {
    validateString(name, 'name');
    if (!this.isOpen) throw closedError('request');
    if (name.length > 127) return undefined;
    return native.httpHeader(this.server, this.slot, this.epoch, name);
  }

  /**
   * Answers the request.
   *
   * `head` is the status line and the header lines, each with CRLF; `Content-Length` is the
   * caller's business and must be that of `body`. The connection adds `Date`, `Connection` and the
   * empty line. For HEAD the body is not sent. Borrows both: they may be disposed right away, or
   * kept and used for ever.
   *
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
    httpRespond(this.server, this.slot, this.epoch, headHandle, bodyHandle, closes);
    this.finish(State.Answered);
  }

  /**
   * Answers with a short text made beforehand, which needs no memory: for when there is none.
   *
   * @param status 400, 408, 413, 414, 417, 431, 500, 501, 503 or 505; anything else counts as 500.
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
   * Content-Length; without it the end of the connection ends the body.
   */
  start(head: HeldBytes, bodyLength?: number, options?: RespondOptions): void {
    if (bodyLength !== undefined) validateInteger(bodyLength, 'bodyLength');
    if (this.state !== State.Undecided) return this.refuseState(State.Undecided);
    const headHandle = heldHandle(head, 'head');
    const closes = options?.close === true ? 1 : 0;
    const { server, slot, epoch } = this;
    if (native.httpStart(server, slot, epoch, headHandle, bodyLength ?? -1, closes)) {
      this.bodyLeft = bodyLength ?? Infinity;
      this.state = State.Streaming;
    } else {
      this.leave();
    }
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
    const outcome = native.httpWrite(this.server, this.slot, this.epoch, handle);
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

  /**
   * Ends an answer that was begun by {@link start}. A body shorter than promised cuts the
   * connection: nobody could tell where the next answer begins.
   */
  end(): void {
    if (this.state !== State.Streaming) return this.refuseState(State.Streaming);
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

  /** @internal The client is gone. */
  leave(): void {
    this.finish(State.Left);
    this.settleWaiters(leftError);
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

  private finish(state: State): void {
    this.state = state;
    this.registry?.delete(this.slot);
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

/**
 * A listening server.
 *
 * @example
 * ```ts
 * const head = Aggregate.from('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n');
 * const body = Aggregate.from('hello');
 * const server = await HttpServer.listen({ port: 0 }, (request) => request.respond(head, body));
 * ```
 */
export class HttpServer implements AsyncDisposable {
  readonly host: string;
  readonly port: number;
  #server!: NativeServer;
  readonly #onRequest: (request: HttpRequest) => void;
  // Those that were not answered within the callback, by slot.
  readonly #undecided = new Map<number, HttpRequest>();
  readonly #ended: Promise<void>;
  #tellEnded!: () => void;

  /**
   * Listens, and calls `onRequest` for every well-formed request. Malformed ones are answered
   * natively. What `onRequest` throws is answered 500 and then is an uncaught exception, as in
   * Node's own server.
   *
   * Rejects with `ERR_IOL_SYSTEM` (`EADDRINUSE`, `EACCES`, …), with the errors of a full pool, and
   * with those of the look-up of a host name.
   */
  static async listen(
    options: HttpServerOptions, onRequest: (request: HttpRequest) => void,
  ): Promise<HttpServer> {
    validateObject(options, 'options');
    validateFunction(onRequest, 'onRequest');
    const numbers = numbersOf(options);
    const { pool } = options;
    if (pool !== undefined && !(pool instanceof Pool)) {
      throw invalidType('options.pool', 'an instance of Pool', pool);
    }
    const host = await addressOf(options.host ?? '127.0.0.1');
    const poolHandle = pool === undefined ? defaultPoolHandle : handleOf(pool);
    return new HttpServer(poolHandle, host, numbers, onRequest);
  }

  private constructor(
    pool: number, host: string, numbers: Float64Array, onRequest: (request: HttpRequest) => void,
  ) {
    this.#onRequest = onRequest;
    this.#ended = new Promise((resolve) => {
      this.#tellEnded = resolve;
    });
    // Why a buffer of its own: a small typed array without one may be moved by the collector.
    const record = new Uint32Array(new ArrayBuffer(recordWords * Uint32Array.BYTES_PER_ELEMENT));
    this.#server = native.httpListen(pool, host, numbers, record,
      (target) => this.#handle(new HttpRequest(this.#server, target, record)),
      (event, slot, epoch) => this.#notice(event, slot, epoch));
    this.host = native.httpEndpoint(this.#server);
    this.port = scratch[0]!;
  }

  stats(): HttpServerStats {
    native.httpStats(this.#server);
    return Object.fromEntries(statNames.map((name, i) => [name, scratch[i]!])) as
      Record<(typeof statNames)[number], number>;
  }

  /**
   * Accepts no more, ends idle connections, answers what was asked and finishes what is being sent.
   * Resolves when the last connection has ended; {@link destroy} makes that now.
   */
  close(): Promise<void> {
    native.httpClose(this.#server);
    return this.#ended;
  }

  /** Cuts every connection and stops. */
  destroy(): void {
    native.httpDestroy(this.#server);
  }

  /** Lets the process end although the server is open. */
  unref(): this {
    native.httpReference(this.#server, false);
    return this;
  }

  ref(): this {
    native.httpReference(this.#server, true);
    return this;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #handle(request: HttpRequest): void {
    const onRequest = this.#onRequest;
    try {
      onRequest(request);
    } catch (error) {
      request.fail();
      throw error;
    }
    if (request.isOpen) request.register(this.#undecided);
  }

  #notice(event: ServerEvent, slot: number, epoch: number): void {
    if (event === ServerEvent.Drained) {
      this.#tellEnded();
      return;
    }
    const request = this.#undecided.get(slot);
    if (request === undefined || request.epoch !== epoch) return;
    if (event === ServerEvent.Writable) {
      request.continue();
    } else {
      request.leave();
    }
  }
}
