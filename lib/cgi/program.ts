/**
 * One request answered by one run of one program.
 *
 *   request.body -> input      errors -> log, by line
 *   output -> [head][body]     head parsed, body sent by reference as it comes
 */
import path from 'node:path';
import { setImmediate as immediate } from 'node:timers/promises';

import { Aggregate } from '../aggregate/aggregate';
import { isIolError } from '../errors';
import { Interest, type HttpRequest } from '../http/request';
import { iolWrite } from '../io/io';
import type { Pool } from '../window/pool';
import { environmentOf, type CgiTarget } from './environment';
import type { LaunchedProgram, Launcher, ProgramEnd } from './launcher';
import { readLines, readPipe, tryReadPipe } from './pipes';
import {
  headEnd, headText, isBodiless, MalformedHead, parseHead, type CgiHead,
} from './response';

/** What all runs of a gateway share. */
export interface RunContext {
  readonly launcher: Launcher;
  /** A handle. */
  readonly pool: number;
  /** Where bodies of requests are received; undefined: the server's pool. */
  readonly bodyPool: Pool | undefined;
  readonly timeoutMs: number;
  readonly killDelayMs: number;
  readonly software: string;
  readonly log: (line: string) => void;
}

// Up to here an answer that is there as a whole is sent with its length, and not chunked.
const wholeBytesMax = 64 << 10;
// How long after its output the end of a program may be waited for before the answer ends.
const exitWaitMs = 1000;
const memoryWaitMs = 50;

/** A request that cannot be answered as it should be. */
class Failure extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

const codeOf = (error: unknown): string => (isIolError(error) ? error.code : '');

function isShortOfMemory(error: unknown): boolean {
  return /^ERR_IOL_(POOL_FULL|WINDOW_FULL|NO_MEMORY)$/.test(codeOf(error));
}

/** What a failed read of the request's body means for the client. */
function bodyFailure(error: unknown): Failure {
  const text = (error as Error).message;
  switch (codeOf(error)) {
    case 'ERR_IOL_TOO_LARGE': return new Failure(413, text);
    case 'ERR_IOL_TIMED_OUT': return new Failure(408, text);
    case 'ERR_IOL_BAD_BODY':
    case 'ERR_IOL_ABORTED': return new Failure(400, text);
    default: return new Failure(isShortOfMemory(error) ? 503 : 500, text);
  }
}

function startFailure(error: unknown): Failure {
  const { errno } = error as NodeJS.ErrnoException;
  // EMFILE, ENFILE, ENOMEM, EAGAIN: not the program's fault, and it may pass.
  const isShort = [-24, -23, -12, -11].includes(errno ?? 0);
  return new Failure(isShort ? 503 : 502, `could not be started: ${(error as Error).message}`);
}

/** The request's body, before a program is started for it. */
export interface PreparedBody {
  /** For CONTENT_LENGTH; undefined: there is no body. */
  readonly length: number | undefined;
  /** The first bytes, or all of them. */
  readonly first: Aggregate | null;
}

async function collect(request: HttpRequest, pool: Pool | undefined): Promise<Aggregate> {
  const all = Aggregate.empty();
  try {
    for (;;) {
      using part = await request.body.read(undefined, { pool });
      if (part === null) return all;
      all.append(part);
    }
  } catch (error) {
    all.dispose();
    throw error;
  }
}

/**
 * Reads the first bytes of the body, or all of a chunked one: RFC 3875 wants its length beforehand.
 * No program waits for a client that sends nothing.
 */
export async function prepareBody(
  request: HttpRequest, isRedirected: boolean, pool: Pool | undefined,
): Promise<PreparedBody> {
  if (isRedirected) return { length: undefined, first: null };
  try {
    if ((request.interests & Interest.TransferEncoding) !== 0) {
      const first = await collect(request, pool);
      return { length: first.byteLength, first };
    }
    if ((request.interests & Interest.ContentLength) === 0) return { length: undefined, first: null };
    const length = Number(request.header('content-length'));
    return { length, first: await request.body.read(undefined, { pool }) };
  } catch (error) {
    throw bodyFailure(error);
  }
}

/** Answers what went wrong, as far as that can still be said. */
export function answerFailure(request: HttpRequest, error: unknown): number {
  const status = error instanceof Failure ? error.status : isShortOfMemory(error) ? 503 : 500;
  if (request.isOpen) request.refuse(status, { close: [400, 408, 413].includes(status) });
  return status;
}

/** See the head of this file. */
export class ProgramRun {
  readonly #request: HttpRequest;
  readonly #target: CgiTarget;
  readonly #url: string | undefined;
  readonly #context: RunContext;
  readonly #name: string;
  // Ends all moving of bytes: the program took too long, failed, or nobody wants its answer.
  readonly #stop = new AbortController();
  readonly #exited = new AbortController();
  #program!: LaunchedProgram;
  #failure: Failure | undefined;
  #timer: NodeJS.Timeout | undefined;
  #hasBegun = false;

  constructor(
    request: HttpRequest, target: CgiTarget, context: RunContext, url: string | undefined,
  ) {
    this.#url = url;
    this.#request = request;
    this.#target = target;
    this.#context = context;
    this.#name = path.basename(target.program);
  }

  /** Resolves when the program has ended, with the path that its answer redirects us to, if any. */
  async run(body: PreparedBody): Promise<string | undefined> {
    const { first } = body;
    try {
      await this.#start(body);
    } catch (error) {
      first?.dispose();
      this.#settleFailure(error instanceof Failure ? error : startFailure(error));
      return undefined;
    }
    const onLeave = (): void => this.#stop.abort();
    this.#request.signal.addEventListener('abort', onLeave, { once: true });
    const { pool } = this.#context;
    const feeding = this.#feed(first);
    const logging = readLines(pool, this.#program.errors, this.#exited.signal,
      (line) => this.#context.log(`${this.#name}: ${line}`)).catch(() => undefined);
    void this.#program.ended.then((end) => this.#onEnded(end));
    this.#timer = setTimeout(() => this.#onTimeout(), this.#context.timeoutMs);
    let redirect: string | undefined;
    try {
      redirect = await this.#answer();
      await this.#discard();
    } catch (error) {
      this.#settleFailure(error);
    }
    this.#stop.abort();
    this.#request.signal.removeEventListener('abort', onLeave);
    await this.#end();
    await Promise.all([feeding, logging]);
    this.#program.closeAll();
    return redirect;
  }

  async #start({ length, first }: PreparedBody): Promise<void> {
    const { program: file, arguments: rest = [] } = this.#target;
    const { launcher, software } = this.#context;
    const latin1 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
    this.#program = await launcher.start({
      path: latin1(file),
      folder: latin1(path.dirname(file)),
      arguments: [file, ...rest].map(latin1),
      environment: environmentOf(this.#request, this.#target, { length, url: this.#url, software }),
      hasInput: first !== null,
    });
  }

  #onEnded({ signal }: ProgramEnd): void {
    this.#exited.abort();
    // Why at once: what it had started may have its output open.
    if (signal === 'lost') this.#fail(new Failure(502, 'was lost with the launcher'));
  }

  #onTimeout(): void {
    this.#fail(new Failure(504, `did nothing for ${this.#context.timeoutMs} ms`));
  }

  #fail(failure: Failure): void {
    this.#failure ??= failure;
    this.#stop.abort();
  }

  // The request's body, at the program's pace.
  async #feed(first: Aggregate | null): Promise<void> {
    const { input } = this.#program;
    const { signal } = this.#stop;
    const { body } = this.#request;
    let part = first;
    try {
      while (part !== null) {
        await iolWrite(input, part, { signal });
        this.#timer?.refresh();
        part.dispose();
        part = null;
        part = await body.read(undefined, { signal, pool: this.#context.bodyPool }).catch((error: unknown) => {
          throw bodyFailure(error);
        });
      }
    } catch (error) {
      // A program need not read its input: what it has closed (EPIPE) is no failure. Nor is what
      // comes after the answer.
      if (error instanceof Failure && this.#request.isOpen && !signal.aborted) this.#fail(error);
    } finally {
      part?.dispose();
      if (input >= 0) this.#program.close(input);
    }
  }

  async #answer(): Promise<string | undefined> {
    using output = Aggregate.empty();
    const head = await this.#readHead(output);
    if (head.localRedirect !== undefined) return head.localRedirect;
    if (this.#request.method === 'HEAD' || isBodiless(head.status)) {
      this.#respond(head, head.status === 204 ? undefined : head.contentLength, null);
    } else if (await this.#readRest(output)) {
      await this.#checkEnd();
      this.#respondWhole(head, output);
    } else {
      await this.#stream(head, output);
    }
    return undefined;
  }

  async #readHead(output: Aggregate): Promise<CgiHead> {
    for (;;) {
      const bytes = await this.#read();
      if (bytes === null) {
        const end = await this.#endWithin();
        throw new Failure(502, `ended without a head${describeEnd(end)}`);
      }
      output.append(bytes);
      bytes.dispose();
      const end = headEnd(output);
      if (end < 0) continue;
      const head = parseHead(output.toString('latin1', 0, end));
      output.consume(end);
      return head;
    }
  }

  // Whether the answer is there as a whole now.
  async #readRest(output: Aggregate): Promise<boolean> {
    let hasWaited = false;
    while (output.byteLength < wholeBytesMax) {
      const next = this.#tryRead();
      if (next === null) return true;
      if (next === 'no room') return false;  // It is waited for while the answer is under way.
      if (next === undefined) {
        if (hasWaited) return false;
        hasWaited = true;
        await immediate();
        continue;
      }
      output.append(next);
      next.dispose();
    }
    return false;
  }

  #respondWhole(head: CgiHead, body: Aggregate): void {
    const length = head.contentLength ?? body.byteLength;
    if (length > body.byteLength) {
      throw new Failure(502, `promised ${length} bytes and sent ${body.byteLength}`);
    }
    this.#truncate(body, length);
    this.#respond(head, length, body);
  }

  #respond(head: CgiHead, length: number | undefined, body: Aggregate | null): void {
    using bytes = headBytes(head, length);
    this.#hasBegun = true;
    this.#request.respond(bytes, body);
  }

  async #stream(head: CgiHead, output: Aggregate): Promise<void> {
    const request = this.#request;
    let left = head.contentLength ?? Infinity;
    {
      using bytes = headBytes(head, head.contentLength);
      this.#hasBegun = true;
      request.start(bytes, head.contentLength ?? 'chunked');
    }
    for (let part: Aggregate | null = output; part !== null && left > 0; part = await this.#read()) {
      using sent = part;
      this.#truncate(sent, left);
      left -= sent.byteLength;
      // The client's pace is not the program's.
      clearTimeout(this.#timer);
      await request.write(sent);
      this.#timer = setTimeout(() => this.#onTimeout(), this.#context.timeoutMs);
    }
    if (left > 0 && left !== Infinity) throw new Failure(502, `ended ${left} bytes too early`);
    if (left > 0) await this.#checkEnd();
    request.end();
  }

  #truncate(body: Aggregate, length: number): void {
    if (body.byteLength <= length) return;
    this.#context.log(`${this.#name}: sent more bytes than its Content-Length says`);
    body.truncate(length);
  }

  // The end of the output is the end of the answer only when the program was not killed.
  async #checkEnd(): Promise<void> {
    const end = await this.#endWithin();
    if (end?.signal !== undefined) throw new Failure(502, `was ended in its answer${describeEnd(end)}`);
  }

  async #endWithin(): Promise<ProgramEnd | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), exitWaitMs);
    });
    const end = await Promise.race([this.#program.ended, late]);
    clearTimeout(timer);
    return end;
  }

  // What comes after the answer is for nobody.
  async #discard(): Promise<void> {
    for (let bytes = await this.#read(); bytes !== null; bytes = await this.#read()) bytes.dispose();
    await Promise.race([this.#program.ended, aborted(this.#stop.signal)]);
  }

  #tryRead(): Aggregate | null | undefined | 'no room' {
    try {
      return tryReadPipe(this.#context.pool, this.#program.output);
    } catch (error) {
      if (isShortOfMemory(error)) return 'no room';
      throw error;
    }
  }

  async #read(): Promise<Aggregate | null> {
    for (;;) {
      try {
        const bytes = await readPipe(this.#context.pool, this.#program.output, this.#stop.signal);
        this.#timer?.refresh();
        return bytes;
      } catch (error) {
        if (!isShortOfMemory(error) || this.#stop.signal.aborted) throw error;
      }
      // Others may give memory back; the deadline bounds it.
      await Promise.race([
        new Promise((resolve) => setTimeout(resolve, memoryWaitMs)), aborted(this.#stop.signal),
      ]);
    }
  }

  #settleFailure(error: unknown): void {
    const request = this.#request;
    const failure = this.#failure ?? (error instanceof MalformedHead
      ? new Failure(502, `gave a malformed answer: ${error.message}`) : error);
    if (!request.isOpen && this.#failure === undefined) return;  // Nobody is there to be answered.
    this.#context.log(`${this.#name}: ${(failure as Error).message}`);
    if (this.#hasBegun) request.abort();
    else answerFailure(request, failure);
  }

  // Asks the program to end, then ends it.
  async #end(): Promise<void> {
    clearTimeout(this.#timer);
    const program = this.#program;
    if (program.end !== undefined) return;
    program.signal('terminate');
    const timer = setTimeout(() => program.signal('kill'), this.#context.killDelayMs);
    await program.ended;
    clearTimeout(timer);
  }
}

function headBytes(head: CgiHead, length: number | undefined): Aggregate {
  const extra = length === undefined ? '' : `Content-Length: ${length}\r\n`;
  return Aggregate.fromText(headText(head, extra), 'latin1');
}

function describeEnd(end: ProgramEnd | undefined): string {
  if (end === undefined) return '';
  return end.signal === undefined ? ` (exit code ${end.exitCode})` : ` (${end.signal})`;
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
