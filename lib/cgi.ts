/// <reference types="node" preserve="true" />
/**
 * CGI/1.1 (RFC 3875): programs of any kind, unmodified, answer requests of `io-lite/http`.
 *
 * A program runs in a process of its own, started by a small launcher and never by a fork of this
 * one. Its output enters the window by one copy, the kernel's out of the pipe, and is sent from there.
 */
import type { CgiTarget } from './cgi/environment';
import { Launcher } from './cgi/launcher';
import { answerFailure, prepareBody, ProgramRun, type RunContext } from './cgi/program';
import { HttpRequest } from './http/request';
import { defaultPoolHandle, version } from './native';
import { handleOf } from './resource';
import {
  invalidType, invalidValue, validateFunction, validateInteger, validateObject, validateString,
} from './validate';
import { Pool } from './window/pool';

export type { CgiTarget } from './cgi/environment';
export { CgiResponseHead, type CgiFields } from './cgi/head';
export { CgiRequest } from './cgi/request';
export { CgiRequestBody } from './cgi/request-body';
export { serve, type CgiHandler } from './cgi/serve';
export type { CgiFilesOptions } from './cgi/worker-files';
export { CgiWorkers, type CgiWorkersOptions, type CgiWorkersStats } from './cgi/workers';

/** Bounds of a {@link CgiGateway}. */
export interface CgiGatewayOptions {
  /** Where output, and bodies of requests, are received. Default: the default pool; bodies: the server's. */
  pool?: Pool;
  /** Programs at a time. Default 64. */
  programsMax?: number;
  /** Requests that wait for one of them to end; more are answered 503. Default 256. */
  queueMax?: number;
  /**
   * How long a program may neither read nor write: then it is ended and the answer is 504, or the
   * connection is cut when the answer has begun. Default 60 s.
   */
  timeoutMs?: number;
  /** From SIGTERM to SIGKILL. Default 1 s. */
  killDelayMs?: number;
  /** SERVER_SOFTWARE. Default `io-lite/VERSION`. */
  software?: string;
  /** Called with each line of a program's stderr and of what went wrong. Default: nobody is told. */
  log?: (line: string) => void;
}

/** Since the gateway was made, but for `running` and `waiting`. */
export interface CgiGatewayStats {
  readonly running: number;
  readonly waiting: number;
  /** Requests that were given to a program. */
  readonly runs: number;
  /** Requests turned away because too many were waiting. */
  readonly refused: number;
  /** Process number of the launcher, when there is one. */
  readonly launcherPid: number | undefined;
}

const timeoutMsMax = 24 * 3600 * 1000;

function contextOf(options: CgiGatewayOptions, launcher: Launcher): RunContext {
  const { timeoutMs = 60_000, killDelayMs = 1000, software = `io-lite/${version}`, pool } = options;
  const log = options.log ?? (() => undefined);
  validateInteger(timeoutMs, 'options.timeoutMs', 1, timeoutMsMax);
  validateInteger(killDelayMs, 'options.killDelayMs', 0, timeoutMsMax);
  validateString(software, 'options.software');
  validateFunction(log, 'options.log');
  if (pool !== undefined && !(pool instanceof Pool)) {
    throw invalidType('options.pool', 'an instance of Pool', pool);
  }
  const poolHandle = pool === undefined ? defaultPoolHandle : handleOf(pool);
  return { launcher, pool: poolHandle, bodyPool: pool, timeoutMs, killDelayMs, software, log };
}

function validateTarget(target: CgiTarget): void {
  validateObject(target, 'target');
  const { program, scriptName, pathInfo, documentRoot = '', environment = {} } = target;
  const variables = Object.entries(environment).flat();
  const texts = [...(target.arguments ?? []), program, scriptName, pathInfo, documentRoot, ...variables];
  for (const text of texts) {
    validateString(text, 'target');
    if (text.includes('\0')) throw invalidValue('target', 'must have no zero bytes', text);
  }
  if (!program.startsWith('/')) {
    throw invalidValue('target.program', 'must be an absolute path', program);
  }
  const badName = Object.keys(environment).find((name) => name === '' || name.includes('='));
  if (badName !== undefined) {
    throw invalidValue('target.environment', 'must have names without "="', badName);
  }
}

/**
 * Answers requests by programs.
 *
 * - Each request gets a process of its own, in its own session and process group, with the
 *   meta-variables of RFC 3875, the request's headers as `HTTP_*` (never `HTTP_PROXY`), its own folder as
 *   the working directory, and its body on stdin at the program's pace. A chunked body is collected
 *   before, because CONTENT_LENGTH must be known; others are passed on while they arrive.
 * - `Status`, `Location` and `Content-Type` are as in RFC 3875; programs that write the whole HTTP
 *   response themselves (nph-) are not supported: 502. Answers that are there as a whole get a Content-Length,
 *   others are chunked, so that connections live on.
 * - 502: not started, no head, a malformed one, killed; 504: silent for `timeoutMs`; 503: too many.
 *   When the answer has begun, the connection is cut. When the client leaves, the program is ended.
 *   In every case it is SIGTERM to the process group, and SIGKILL `killDelayMs` later.
 *
 * @example
 * ```ts
 * const gateway = new CgiGateway({ log: console.error });
 * const target = { program: '/srv/cgi/hello', scriptName: '/hello', pathInfo: '' };
 * const server = await HttpServer.listen({}, async (request) => {
 *   await gateway.answer(request, target);
 * });
 * ```
 */
export class CgiGateway implements AsyncDisposable {
  readonly #launcher = new Launcher();
  readonly #context: RunContext;
  readonly #programsMax: number;
  readonly #queueMax: number;
  readonly #queue: (() => void)[] = [];
  readonly #runs = new Set<Promise<unknown>>();
  #running = 0;
  #admitted = 0;
  #total = 0;
  #refused = 0;
  #isClosed = false;

  constructor(options: CgiGatewayOptions = {}) {
    validateObject(options, 'options');
    const { programsMax = 64, queueMax = 256 } = options;
    validateInteger(programsMax, 'options.programsMax', 1, 10_000);
    validateInteger(queueMax, 'options.queueMax', 0, 1_000_000);
    this.#programsMax = programsMax;
    this.#queueMax = queueMax;
    this.#context = contextOf(options, this.#launcher);
  }

  /**
   * Answers `request` by running a program for it; resolves when the program has ended. Whatever goes
   * wrong is answered, and logged.
   *
   * @param url path and query in place of the request's: after a local redirect, which is a GET
   * without a body.
   * @returns undefined, or the path and query of a local redirect (RFC 3875 section 6.2.2): the
   * request is still to be answered then, as a GET of that path.
   * @throws {TypeError} for wrong arguments.
   */
  async answer(request: HttpRequest, target: CgiTarget, url?: string): Promise<string | undefined> {
    if (!(request instanceof HttpRequest)) {
      throw invalidType('request', 'an instance of HttpRequest', request);
    }
    validateTarget(target);
    if (url !== undefined) validateString(url, 'url');
    if (!request.isOpen) return undefined;
    if (this.#isClosed || this.#admitted >= this.#programsMax + this.#queueMax) {
      this.#refused++;
      this.#context.log('503: too many requests wait for a program');
      request.refuse(503);
      return undefined;
    }
    const run = this.#answer(request, target, url);
    this.#runs.add(run);
    try {
      return await run;
    } finally {
      this.#runs.delete(run);
    }
  }

  async #answer(
    request: HttpRequest, target: CgiTarget, url: string | undefined,
  ): Promise<string | undefined> {
    this.#admitted++;
    try {
      const body = await prepareBody(request, url !== undefined, this.#context.bodyPool);
      await this.#takeTurn();
      try {
        if (request.isOpen) {
          this.#total++;
          return await new ProgramRun(request, target, this.#context, url).run(body);
        }
      } finally {
        body.first?.dispose();
        this.#giveTurn();
      }
    } catch (error) {
      const status = answerFailure(request, error);
      if (status >= 500) this.#context.log(`${status}: ${(error as Error).message}`);
    } finally {
      this.#admitted--;
    }
    return undefined;
  }

  async #takeTurn(): Promise<void> {
    if (this.#running < this.#programsMax) {
      this.#running++;
    } else {
      await new Promise<void>((resolve) => this.#queue.push(resolve));
    }
  }

  #giveTurn(): void {
    const next = this.#queue.shift();
    if (next === undefined) this.#running--;
    else next();
  }

  /** The figures as they are now. */
  stats(): CgiGatewayStats {
    return {
      running: this.#running,
      waiting: this.#admitted - this.#running,
      runs: this.#total,
      refused: this.#refused,
      launcherPid: this.#launcher.pid,
    };
  }

  /** Takes no more requests, waits for those that are being answered, and ends the launcher. */
  async close(): Promise<void> {
    this.#isClosed = true;
    while (this.#runs.size > 0) await Promise.allSettled(this.#runs);
    this.#launcher.close();
  }

  /** Ends all programs and the launcher now. */
  destroy(): void {
    this.#isClosed = true;
    this.#launcher.close();
  }

  /** The same as {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
