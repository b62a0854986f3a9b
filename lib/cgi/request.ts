/**
 * One request, as a worker has it: what was asked, the body as it arrives, the answer.
 */
import type { Waiter } from '../abort';
import { Aggregate, HeldBytes } from '../aggregate/aggregate';
import { closedError, IolError } from '../errors';
import { handleOf } from '../resource';
import {
  invalidType, invalidValue, outOfRange, validateInteger, validateString,
} from '../validate';
import { environmentOf, type CgiTarget } from './environment';
import {
  creditBytes, Frame, hasBody, isHeadOnly, isKnownHead, isLast, putFrame, receivedText,
  textBytesMax, textInPayload, type Received,
} from './frames';
import { CgiResponseHead } from './head';
import { CgiRequestBody, leftError } from './request-body';
import { fileError, isMissingFile, pathText } from './request-file';
import { isBodiless } from './response';

/** What is the same for all requests of a worker. @internal */
export interface WorkerFacts {
  readonly target: Omit<CgiTarget, 'pathInfo'>;
  readonly software: string;
}

/** The way back to the server, and what is the same for all requests. @internal */
export interface WorkerLink {
  readonly facts: WorkerFacts;
  /** Address and port. */
  readonly server: string;
  /** Sends the frame that putFrame() has made. */
  reply(bytes: HeldBytes | undefined, frameBytes: number): void;
  /** Whether the server has the head, under its own number. */
  knows(head: CgiResponseHead): boolean;
  /** Under which the next one is sent; then it is known. */
  readonly nextHead: number;
  addHead(head: CgiResponseHead): void;
  /** The request has ended. */
  done(id: number): void;
}

/** Header names as they were received, with their values. */
type Fields = readonly (readonly [name: string, value: string])[];

// Asking: a file was named, and the server has said nothing yet.
enum State { Undecided, Asking, Streaming, Answered, Left }

/**
 * One request to a worker. It is to be answered once: by {@link respond}, by {@link respondFile}, or
 * in parts by {@link start}, {@link write} and {@link end}. A client that leaves meanwhile is no error.
 */
export class CgiRequest {
  /** As it was received, nearly always in capitals. */
  readonly method: string;
  /** Path and query as they were received, not decoded. */
  readonly target: string;
  /** 0 or 1, of HTTP/1.x. */
  readonly versionMinor: number;
  readonly #link: WorkerLink;
  readonly #id: number;
  // A line with the client's address and port, and of HTTPS the server's; the head as it was received.
  readonly #text: string;
  readonly #hasBody: boolean;
  readonly #bodyLength: number;
  #body: CgiRequestBody | undefined;
  #fields: Fields | undefined;
  #variables: Readonly<Record<string, string>> | undefined;
  #state = State.Undecided;
  #bodyLeft = 0;
  #credit = creditBytes;
  #waiters: Waiter[] | undefined;
  #leaving: AbortController | undefined;
  #fileFailure: Error | undefined;

  /** @internal */
  constructor({ id, flags, small, length }: Received, text: string, link: WorkerLink) {
    const from = text.indexOf('\n') + 1;
    const space = text.indexOf(' ', from);
    const target = text.slice(space + 1, text.indexOf(' ', space + 1));
    this.method = text.slice(from, space);
    // An absolute target (http://host/path) stands for its path.
    this.target = target.startsWith('/')
      ? target : target.replace(/^https?:\/\/[^/?]*(?=([/?]?))/i, (_, next) => (next === '/' ? '' : '/'));
    this.versionMinor = small;
    this.#link = link;
    this.#id = id;
    this.#text = text;
    this.#hasBody = (flags & hasBody) !== 0;
    this.#bodyLength = length;
  }

  /** The body, as it arrives; one without bytes ends at once. */
  get body(): CgiRequestBody {
    if (this.#body === undefined) {
      this.#body = new CgiRequestBody(this.#link, this.#id, this.#hasBody);
      if (!this.isOpen) this.#body.end(this.#ending());
    }
    return this.#body;
  }

  /** Whether an answer, or the rest of one, still has somebody to go to. */
  get isOpen(): boolean {
    return this.#state < State.Answered;
  }

  /** Aborted when the client has left before the answer was complete. */
  get signal(): AbortSignal {
    this.#leaving ??= new AbortController();
    if (this.#state === State.Left) this.#leaving.abort(leftError());
    return this.#leaving.signal;
  }

  /** Names and values of all headers in turn, as they were received; `Host` of an absolute target is the target's. */
  get rawHeaders(): string[] {
    return this.#fieldsOf().flat();
  }

  /** The value of a header; several of one name are joined by `', '`. */
  header(name: string): string | undefined {
    validateString(name, 'name');
    const wanted = name.toLowerCase();
    const values = this.#fieldsOf().filter(([each]) => each.toLowerCase() === wanted);
    return values.length === 0 ? undefined : values.map(([, value]) => value).join(', ');
  }

  /** Whether it came by HTTPS. */
  get isSecure(): boolean {
    return this.#addresses().length > 2;
  }

  /** The addresses of the client's connection. */
  address(side: 'client' | 'server'): { address: string; port: number } {
    const given = this.#addresses();
    const own = given.length > 2 ? given.slice(2) : this.#link.server.split(' ');
    const [address = '', port] = side === 'server' ? own : given;
    return { address, port: Number(port) };
  }

  #addresses(): string[] {
    return this.#text.slice(0, this.#text.indexOf('\n')).split(' ');
  }

  /**
   * The variables of RFC 3875 section 4.1, as a plain CGI program has them in its environment.
   * Made when they are first asked for.
   */
  get variables(): Readonly<Record<string, string>> {
    this.#variables ??= this.#makeVariables();
    return this.#variables;
  }

  #makeVariables(): Readonly<Record<string, string>> {
    const { target, software } = this.#link.facts;
    const [path = ''] = this.target.split('?');
    const pathInfo = decoded(path).slice(target.scriptName.length);
    const lines = environmentOf(this, { ...target, pathInfo }, {
      length: this.#bodyLength < 0 ? undefined : this.#bodyLength, url: undefined, software,
    });
    return Object.fromEntries(lines.map((line) => {
      const equals = line.indexOf('=');
      return [line.slice(0, equals), Buffer.from(line.slice(equals + 1), 'latin1').toString()];
    }));
  }

  #fieldsOf(): Fields {
    if (this.#fields !== undefined) return this.#fields;
    const [, requestLine = '', ...lines] = this.#text.split('\n');
    const authority = /^\S+ https?:\/\/([^/?\s]*)/i.exec(requestLine)?.[1];
    this.#fields = lines.filter((line) => line !== '' && line !== '\r').map((line) => {
      const colon = line.indexOf(':');
      const name = line.slice(0, colon);
      // Whatever Host says, the request is for whom its target names (RFC 9112 section 3.2.2).
      if (authority !== undefined && /^host$/i.test(name)) return [name, authority] as const;
      return [name, line.slice(colon + 1).replace(/^[ \t]+|[ \t\r]+$/g, '')] as const;
    });
    return this.#fields;
  }

  /**
   * Answers with `body`, which the server sends from where it lies: no byte of it is copied in user
   * space, however often the same one is given. Borrows it: it may be disposed right away, or kept.
   *
   * @throws {IolError} `ERR_IOL_CLOSED` when this request was answered before.
   */
  respond(head: CgiResponseHead, body?: HeldBytes | null): void {
    checkHead(head);
    if (body !== undefined && body !== null) checkBytes(body, 'body');
    if (!this.#begin()) return;
    this.#sendHead(head, isLast, body?.byteLength ?? 0, body ?? undefined);
    this.#finish(State.Answered);
  }

  /**
   * Answers with bytes `[offset, offset + length)` of a file that the server opens, and sends from its
   * file cache by reference: this process reads none of it. Conditions and ranges are yours to decide,
   * with a head that says so. For HEAD only the head is sent.
   *
   * Resolves when the answer has begun, which cannot be undone: what fails later (a file that changes
   * while it is sent in parts, above 1 MiB) cuts the connection, and is in the server's log. Rejects
   * while nothing was sent, and the request is still to be answered. A handler that lets such an error
   * out answers 404 when there is no such file, else 502, and goes on.
   *
   * @param path absolute, below the root that the server allows ({@link CgiWorkersOptions.files}).
   * @param length default: to the end of the file.
   * @throws {IolError} `ERR_IOL_REFUSED` outside of the root, or when the server gives no files;
   * `ERR_IOL_SYSTEM` with `errno` (a directory is EISDIR), `ERR_IOL_NOT_REGULAR`,
   * `ERR_IOL_FILE_CHANGED`, `ERR_IOL_POOL_FULL` and others of `CachedFile.read`;
   * `ERR_IOL_ABORTED` when the client leaves meanwhile, `ERR_IOL_CLOSED` when it was answered before.
   * @throws {RangeError} `ERR_OUT_OF_RANGE` past the end of the file.
   * @remarks One small message each way; at the server two system calls and no copy while the bytes are
   * cached.
   */
  async respondFile(
    head: CgiResponseHead, path: string | URL, offset = 0, length?: number,
  ): Promise<void> {
    checkHead(head);
    if (isBodiless(head.status)) {
      throw invalidValue('head.status', 'must be of an answer that has a body', head.status);
    }
    const name = pathText(path);
    validateInteger(offset, 'offset');
    if (length !== undefined) validateInteger(length, 'length');
    if (!this.#begin()) return;
    const link = this.#link;
    if (!link.knows(head)) this.#sendHead(head, isHeadOnly, -1, undefined);
    const text = `${offset} ${name}`;
    if (text.length <= textBytesMax) {
      link.reply(undefined, putFrame(Frame.File, this.#id, 0, 0, length ?? -1, text, head.number));
    } else {
      using payload = Aggregate.fromText(text, 'latin1');
      link.reply(payload, putFrame(Frame.File, this.#id, textInPayload, 0, length ?? -1, '', head.number));
    }
    this.#state = State.Asking;
    await new Promise<void>((resolve, reject) => (this.#waiters ??= []).push({ resolve, reject }));
  }

  /**
   * Begins an answer whose body is given in parts. `bodyLength` is how many bytes it will have;
   * without it, it is as long as it gets.
   */
  start(head: CgiResponseHead, bodyLength?: number): void {
    checkHead(head);
    if (bodyLength !== undefined) validateInteger(bodyLength, 'bodyLength');
    if (!this.#begin()) return;
    this.#sendHead(head, 0, bodyLength ?? -1, undefined);
    this.#bodyLeft = bodyLength ?? Infinity;
    this.#state = State.Streaming;
  }

  /**
   * Sends a part of the body, by reference. Resolves when the next may come; no more than 1 MiB and
   * one part are on their way.
   *
   * Rejects with `ERR_IOL_ABORTED` when the client has left, `ERR_IOL_CLOSED` when no answer was
   * begun, `ERR_OUT_OF_RANGE` when the part is longer than what `start` left to send.
   */
  async write(part: HeldBytes): Promise<void> {
    checkBytes(part, 'part');
    if (this.#state === State.Left) throw leftError();
    if (this.#state !== State.Streaming) throw closedError('request');
    const { byteLength } = part;
    if (byteLength > this.#bodyLeft) {
      throw outOfRange('part.byteLength', `<= ${this.#bodyLeft}, the rest of the body`, byteLength);
    }
    if (byteLength === 0) return;
    this.#link.reply(part, putFrame(Frame.Part, this.#id));
    this.#bodyLeft -= byteLength;
    this.#credit -= byteLength;
    if (this.#credit > 0) return;
    await new Promise<void>((resolve, reject) => (this.#waiters ??= []).push({ resolve, reject }));
  }

  /** Ends an answer that was begun by {@link start}; one that is too short cuts the connection. */
  end(): void {
    if (this.#state === State.Left) return;
    if (this.#state !== State.Streaming) throw closedError('request');
    this.#link.reply(undefined, putFrame(Frame.Part, this.#id, isLast));
    this.#finish(State.Answered);
  }

  /** Gives up: 502, or a cut connection when the answer has begun. `reason` is for the server's log. */
  abort(reason = 'gave up'): void {
    this.fail(reason, 0);
  }

  /** @internal As abort(); `flags` of the frame. */
  fail(reason: string, flags: number): void {
    if (!this.isOpen) return;
    const text = Buffer.from(reason).toString('latin1').slice(0, 200);
    this.#link.reply(undefined, putFrame(Frame.Failed, this.#id, isLast | flags, 0, 0, text));
    this.#finish(State.Answered);
  }

  /** @internal The server has sent this for it. */
  onFrame({ kind, flags, length }: Received, payload: Aggregate): void {
    if (kind === Frame.Body) return this.body.onPart(payload, (flags & isLast) !== 0);
    payload.dispose();
    if (kind === Frame.Cancel) return this.leave();
    if (this.#state === State.Asking) return this.#onFileFrame(kind, length);
    if (kind !== Frame.AnswerCredit) return;
    this.#credit += length;
    if (this.#credit > 0) for (const { resolve } of this.#takeWaiters()) resolve();
  }

  #onFileFrame(kind: Frame, errno: number): void {
    if (kind !== Frame.FileTaken && kind !== Frame.FileRefused) return;
    const waiters = this.#takeWaiters();
    if (kind === Frame.FileTaken) {
      this.#finish(State.Answered);
      for (const { resolve } of waiters) resolve();
    } else {
      this.#state = State.Undecided;
      const error = this.#fileFailure = fileError(receivedText(), errno);
      for (const { reject } of waiters) reject(error);
    }
  }

  /** @internal Whether `error` is what the server has said of a file: that is answered. */
  failFile(error: unknown): boolean {
    const failure = this.#fileFailure;
    if (failure === undefined || failure !== error) return false;
    if (this.#state === State.Undecided && isMissingFile(failure)) this.respond(notFound);
    else this.fail(failure.message, 0);
    return true;
  }

  /** @internal Nobody waits for an answer any more. */
  leave(): void {
    if (this.isOpen) this.#finish(State.Left);
  }

  // False: the client has left.
  #begin(): boolean {
    if (this.#state === State.Left) return false;
    if (this.#state !== State.Undecided) throw closedError('request was answered and');
    return true;
  }

  #sendHead(head: CgiResponseHead, flags: number, length: number, body: HeldBytes | undefined): void {
    const link = this.#link;
    if (link.knows(head)) {
      const bytes = putFrame(Frame.Head, this.#id, flags | isKnownHead, 0, length, '', head.number);
      return link.reply(body, bytes);
    }
    const { status, text } = head;
    if (text.length <= textBytesMax) {
      link.reply(body, putFrame(Frame.Head, this.#id, flags, status, length, text, link.nextHead));
    } else {
      using payload = Aggregate.fromText(text, 'latin1');
      if (body !== undefined) payload.append(body);
      const size = `${text.length}`;
      link.reply(payload, putFrame(
        Frame.Head, this.#id, flags | textInPayload, status, length, size, link.nextHead));
    }
    link.addHead(head);
  }

  #takeWaiters(): Waiter[] {
    const waiters = this.#waiters ?? [];
    this.#waiters = undefined;
    return waiters;
  }

  // Why nothing of the body can be read any more.
  #ending(): () => IolError {
    return this.#state === State.Left
      ? leftError : () => closedError('request was answered and its body');
  }

  #finish(state: State.Answered | State.Left): void {
    this.#state = state;
    this.#body?.end(this.#ending());
    if (state === State.Left) this.#leaving?.abort(leftError());
    for (const { reject } of this.#takeWaiters()) reject(this.#ending()());
    this.#link.done(this.#id);
  }
}

const notFound = new CgiResponseHead(404);

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function checkHead(head: unknown): void {
  if (!(head instanceof CgiResponseHead)) {
    throw invalidType('head', 'an instance of CgiResponseHead', head);
  }
}

function checkBytes(bytes: unknown, name: string): void {
  if (!(bytes instanceof HeldBytes)) {
    throw invalidType(name, 'an instance of Aggregate or IolBuffer', bytes);
  }
  handleOf(bytes);
}
