/// <reference types="node" preserve="true" />
/**
 * An HTTP/1 server on the window: requests arrive in it, answers leave it by reference.
 *
 * The native side reads heads, keeps order, persistence, framing, limits and time; TypeScript
 * decides about every request. An answer is one aggregate to the kernel: head, date, body.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';

import type { HeldBytes } from './aggregate/aggregate';
import { takeIncidents, type HttpIncident } from './http/incidents';
import { AnswerLog, logFormats, type HttpAnswerRecord, type HttpLogFormat } from './http/log';
import type { NativeServer } from './http/native';
import {
  numbersOf, placeOf, PlaceKind, remover, tlsTimesOf, timeoutMsMax,
  type HttpServerLimits, type HttpServerOptions, type Place,
} from './http/options';
import { heldHandle, HttpRequest } from './http/request';
import { statNames, type HttpServerStats } from './http/stats';
import { TlsCarrier, validateTls, type HttpTlsOptions } from './http/tls';
import { defaultPoolHandle, native } from './native';
import { handleOf } from './resource';
import {
  invalidType, invalidValue, validateFunction, validateInteger, validateObject, validateOneOf,
} from './validate';
import { Pool } from './window/pool';

export type { AnswerRepeat, RespondOptions } from './http/answer';
export type { BodyReadOptions, HttpRequestBody } from './http/body';
export {
  allowsRange, evaluateConditions, parseRange, type ByteRange, type HeaderLookup, type Validators,
} from './http/conditions';
export { formatHttpDate, parseHttpDate } from './http/date';
export { expressReplies, type ReplyingResponse } from './http/express';
export {
  fastifyReplies, type FastifyLike, type FastifyReplyLike, type ReplyingReply,
} from './http/fastify';
export type { HttpIncident, HttpIncidentKind } from './http/incidents';
export type { HttpAnswerRecord, HttpLogFormat } from './http/log';
export type { HttpServerLimits, HttpServerOptions } from './http/options';
export { HttpHeadParser, type HttpHeadLimits, type HttpRequestHead } from './http/parser';
export { replyWith, type ReplyBody, type ReplyOptions } from './http/reply';
export { HttpRequest, Interest } from './http/request';
export type { HttpServerStats } from './http/stats';
export type { HttpTlsOptions } from './http/tls';

/** For {@link HttpServer.close}. */
export interface CloseOptions {
  /** After so long what has not ended is cut. Default: never. */
  timeoutMs?: number;
}

/**
 * A descriptor that listens, for {@link HttpServerOptions.fd}: for a program that binds as root and
 * gives that up before it makes anything else. It is yours to close, or a server's.
 *
 * Rejects as {@link HttpServer.listen} does.
 */
export async function bindListener(
  options: Omit<HttpServerOptions, keyof HttpServerLimits | 'pool' | 'fd' | 'onIncident'>,
): Promise<number> {
  validateObject(options, 'options');
  const numbers = numbersOf(options);
  const { kind, text, number } = await placeOf({ ...options });
  return native.httpBind(text, numbers, kind, number);
}

const scratch = native.scratch;

// What the native side says about a request beside its target; valid during the callback.
const recordWords = 7;

/** In the order of HttpBinding::Event. */
enum ServerEvent { Writable, Closed, Drained, Body, Incidents, Secure, SecureEnd, SecureCut }

// From the client's bytes in the kernel to a request in the engine.
const turnsOfTls = 4;

/**
 * Decides about a request, at once or later. What it throws, or rejects with, is answered 500 if
 * nothing was, and then is an uncaught exception.
 */
export type RequestHandler = (request: HttpRequest) => void | PromiseLike<void>;

/**
 * A listening server.
 *
 * @example
 * ```ts
 * const head = Aggregate.from('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n');
 * const body = Aggregate.from('hello');
 * const server = await HttpServer.listen({ port: 0 }, (request) => request.respond(head, body));
 * ```
 */
export class HttpServer implements AsyncDisposable {
  /** `unix:` for a Unix socket. */
  readonly host: string;
  readonly port: number;
  /** Of a Unix socket, else `undefined`. */
  readonly path: string | undefined;
  #server!: NativeServer;
  readonly #onRequest: RequestHandler;
  readonly #onIncident: ((incident: HttpIncident) => void) | undefined;
  // Those that were not answered within the callback, by slot.
  readonly #undecided = new Map<number, HttpRequest>();
  // Whose callback is running: answers to earlier requests may bring events for it already.
  #current: HttpRequest | undefined;
  readonly #ended: Promise<void>;
  #tellEnded!: () => void;
  readonly #log: AnswerLog;
  #limits: HttpServerLimits;
  readonly #tls: TlsCarrier | undefined;

  /**
   * Listens, and calls `onRequest` for every well-formed request. Malformed ones are answered
   * natively. A body that the program does not read ({@link HttpRequest.body}) is dropped.
   *
   * Rejects with `ERR_IOL_SYSTEM` (`EADDRINUSE`, `EACCES`, …; `EINVAL` for a descriptor that does not
   * listen), with the errors of a full pool, with those of the look-up of a host name, and with what
   * Node says of a key or certificate that it cannot use.
   */
  static async listen(
    options: HttpServerOptions, onRequest: RequestHandler,
  ): Promise<HttpServer> {
    validateObject(options, 'options');
    validateFunction(onRequest, 'onRequest');
    const numbers = numbersOf(options);
    const { pool, onIncident, tls } = options;
    if (onIncident !== undefined) validateFunction(onIncident, 'options.onIncident');
    if (tls !== undefined) validateTls(tls, 'options.tls');
    if (pool !== undefined && !(pool instanceof Pool)) {
      throw invalidType('options.pool', 'an instance of Pool', pool);
    }
    const place = await placeOf(options);
    const poolHandle = pool === undefined ? defaultPoolHandle : handleOf(pool);
    return new HttpServer(poolHandle, place, numbers, options, onRequest);
  }

  private constructor(
    pool: number, place: Place, numbers: Float64Array, options: HttpServerOptions,
    onRequest: RequestHandler,
  ) {
    this.#limits = { ...options };
    if (options.tls !== undefined) {
      this.#tls = new TlsCarrier(options.tls, tlsTimesOf(options), options.onIncident);
    }
    this.#onRequest = onRequest;
    this.#onIncident = options.onIncident;
    this.#ended = new Promise((resolve) => {
      this.#tellEnded = resolve;
    });
    // Why a buffer of its own: a small typed array without one may be moved by the collector.
    const record = new Uint32Array(new ArrayBuffer(recordWords * Uint32Array.BYTES_PER_ELEMENT));
    this.#server = native.httpListen(pool, place.text, numbers, record,
      (target) => this.#handle(new HttpRequest(this.#server, target, record)),
      (event, slot, epoch) => this.#notice(event, slot, epoch, record), place.kind, place.number);
    this.#log = new AnswerLog(this.#server);
    if (this.#onIncident !== undefined) native.httpReportIncidents(this.#server);
    this.host = native.httpEndpoint(this.#server);
    this.port = scratch[0]!;
    const path = native.httpPath(this.#server);
    this.path = path === '' ? undefined : path;
    if (place.kind === PlaceKind.Path) void this.#ended.then(remover(place.text));
  }

  /**
   * New limits and times, from now on: what is not named stays as it was. Connections that are open keep
   * those of heads.
   */
  configure(limits: HttpServerLimits): void {
    validateObject(limits, 'limits');
    const changed = { ...this.#limits, ...limits };
    native.httpConfigure(this.#server, numbersOf(changed));
    this.#limits = changed;
    if (this.#tls !== undefined) this.#tls.times = tlsTimesOf(changed);
  }

  /** Whether this server speaks HTTPS. */
  get isSecure(): boolean {
    return this.#tls !== undefined;
  }

  /**
   * Another key and certificate for the handshakes from now on; open connections keep theirs.
   *
   * @throws {TypeError} `ERR_INVALID_ARG_VALUE` when the server does not speak HTTPS, or one is missing.
   * What Node says of those that it cannot use; then all stays as it was.
   */
  setSecureContext(tls: HttpTlsOptions): void {
    validateTls(tls, 'tls');
    if (this.#tls === undefined) throw invalidValue('tls', 'is for a server that was made with it', tls);
    this.#tls.setContext(tls);
  }

  /**
   * Keeps what became of each request from now on, in `bytesMax` bytes (default 1 MiB, at most 64 MiB): a
   * record until {@link takeAnswers} takes it or, with a `format`, a line of text until
   * {@link takeAnswerLines} does. 0 bytes end it. What does not fit, and what waits when this is called
   * anew, is dropped and counted.
   *
   * @remarks Off, the default, it costs nothing. On, each connection costs one more system call, and each
   * request some 200 bytes that are copied twice (reason `log`). Lines are made natively, at the answer:
   * JavaScript touches all that have come since the last call at once.
   */
  logAnswers(bytesMax = 1 << 20, format?: HttpLogFormat): void {
    validateInteger(bytesMax, 'bytesMax', 0, 64 << 20);
    if (format !== undefined) validateOneOf(format, 'format', logFormats);
    this.#log.set(bytesMax, format);
  }

  /**
   * The records since the last call, the oldest first; also of a server that has ended. None while there
   * are lines in their place.
   */
  takeAnswers(): HttpAnswerRecord[] {
    return this.#log.take();
  }

  /**
   * The lines since the last call, the oldest first, each with its `\n`, in memory of yours; also of a
   * server that has ended. Empty while records are kept, or nothing.
   *
   * @remarks `common` and `combined` escape as Apache's httpd does (`\"`, `\\`, `\xhh`); `json` is what
   * `JSON.stringify` writes of a {@link HttpAnswerRecord} whose `endedAt` is `time`, in ISO 8601. Who left
   * before an answer has the status 499 in all of them.
   */
  takeAnswerLines(): Buffer {
    return this.#log.takeLines();
  }

  /** Records and lines that were taken. */
  get answersTaken(): number {
    return this.#log.taken;
  }

  /** Records and lines that {@link logAnswers} had no room for, as of the last time that some were taken. */
  get answersDropped(): number {
    return this.#log.dropped;
  }

  /** Requests that were not answered within the callback, and still are not completely. */
  openRequests(): HttpRequest[] {
    return [...this.#undecided.values()];
  }

  /**
   * From now on the program is asked about every request again: what {@link RespondOptions.repeat}
   * allowed was for decisions that may have changed.
   */
  forgetAnswers(): void {
    native.httpForget(this.#server);
  }

  /**
   * What {@link HttpRequest.refuse} answers for one of its statuses from now on, and the server itself
   * for what it refuses natively (malformed, too large, too late): `head` and `body` as for
   * {@link HttpRequest.respond}, kept by the server. Without a head: the short text again.
   *
   * @throws {TypeError} `ERR_INVALID_ARG_VALUE` when `head` is not of that form, or the status none of
   * refuse()'s.
   */
  setErrorAnswer(status: number, head?: HeldBytes, body?: HeldBytes): void {
    validateInteger(status, 'status', 400, 599);
    const headHandle = head === undefined ? 0 : heldHandle(head, 'head');
    const bodyHandle = body === undefined ? 0 : heldHandle(body, 'body');
    if (native.httpSetErrorAnswer(this.#server, status, headHandle, bodyHandle)) return;
    throw invalidValue('status', 'must be one that refuse() has an answer for', status);
  }

  /** The figures as they are now. */
  stats(): HttpServerStats {
    native.httpStats(this.#server);
    const figures = Object.fromEntries(statNames.map((name, i) => [name, scratch[i]!])) as
      Record<(typeof statNames)[number], number>;
    return { ...figures, tlsFailures: this.#tls?.failures ?? 0 };
  }

  /**
   * Accepts no more, ends idle connections, answers what was asked and finishes what is being sent.
   * Resolves when the last connection has ended. A request that the program never answers keeps it
   * waiting without limit, unless there is `answerTimeoutMs`, or `timeoutMs` here, after which all
   * that is left is cut.
   */
  close(options: CloseOptions = {}): Promise<void> {
    validateObject(options, 'options');
    const { timeoutMs } = options;
    if (timeoutMs !== undefined) {
      validateInteger(timeoutMs, 'options.timeoutMs', 0, timeoutMsMax);
      const timer = setTimeout(() => this.destroy(), timeoutMs);
      void this.#ended.then(() => clearTimeout(timer));
    }
    if (this.#tls === undefined) native.httpClose(this.#server);
    else void this.#closeSecure();
    return this.#ended;
  }

  // What has arrived is to be answered, and may be with the cipher.
  async #closeSecure(): Promise<void> {
    for (let turn = 0; turn < turnsOfTls; turn++) await nextTurn();
    native.httpClose(this.#server);
  }

  /** Cuts every connection and stops. */
  destroy(): void {
    native.httpDestroy(this.#server);
    this.#tls?.destroy();
  }

  /** Lets the process end although the server is open. */
  unref(): this {
    native.httpReference(this.#server, false);
    this.#tls?.setReferenced(false);
    return this;
  }

  /** The server keeps the loop alive again (the default). */
  ref(): this {
    native.httpReference(this.#server, true);
    this.#tls?.setReferenced(true);
    return this;
  }

  /** The same as {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #handle(request: HttpRequest): void {
    const onRequest = this.#onRequest;
    const outer = this.#current;  // Its callback has called close(), which brought this request.
    if (outer?.isOpen === true) outer.register(this.#undecided);
    this.#current = request;
    let outcome: void | PromiseLike<void>;
    try {
      outcome = onRequest(request);
    } catch (error) {
      request.fail();
      throw error;
    } finally {
      this.#current = outer;
    }
    if (!request.isOpen) return;
    request.register(this.#undecided);
    // Why asked: what an arrow function without braces returns is not always a promise.
    if (typeof outcome?.then !== 'function') return;
    outcome.then(undefined, (error: unknown) => {
      request.fail();
      throw error;
    });
  }

  #notice(event: ServerEvent, slot: number, epoch: number, record: Uint32Array): void {
    switch (event) {
      case ServerEvent.Drained:
        if (this.#tls === undefined) this.#tellEnded();
        else void this.#tls.closed().then(this.#tellEnded);
        return;
      case ServerEvent.Incidents:
        for (const incident of takeIncidents(this.#server)) this.#onIncident?.(incident);
        return;
      case ServerEvent.Secure: return this.#tls!.accept(slot, record);
      case ServerEvent.SecureEnd: return this.#tls!.end(slot, false);
      case ServerEvent.SecureCut: return this.#tls!.end(slot, true);
      default: break;
    }
    const current = this.#current;
    const request = current?.slot === slot ? current : this.#undecided.get(slot);
    if (request === undefined || request.epoch !== epoch) return;
    if (event === ServerEvent.Writable) {
      request.continue();
    } else if (event === ServerEvent.Body) {
      request.continueBody();
    } else {
      request.leave();
    }
  }
}
