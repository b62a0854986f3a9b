/**
 * Persistent workers: processes that answer many requests each, with bytes of their own memory.
 */
import { randomBytes } from 'node:crypto';
import path from 'node:path';

import type { Channel } from '../channel/channel';
import { IolError } from '../errors';
import { HttpRequest } from '../http/request';
import { defaultPoolHandle, version } from '../native';
import {
  invalidType, invalidValue, validateFunction, validateInteger, validateObject, validateString,
} from '../validate';
import { Pool } from '../window/pool';
import { Window } from '../window/window';
import type { CgiTarget } from './environment';
import { Launcher } from './launcher';
import { workerVariable, type WorkerEnvironment } from './serve';
import { WorkerFiles, type CgiFilesOptions } from './worker-files';
import { WorkerProcess, type WorkerContext } from './worker-process';

/** Which module the workers run, how many there are, and their bounds. */
export interface CgiWorkersOptions {
  /** An absolute path: a program for Node that calls {@link serve}. */
  module: string;
  /** Arguments of the module. */
  arguments?: readonly string[];
  /** Options of Node itself (`--max-old-space-size=…`). */
  execArgv?: readonly string[];
  /** Processes. Default 1. */
  workers?: number;
  /** The part of the URL's path that is theirs: SCRIPT_NAME. Default empty: all of it. */
  scriptName?: string;
  documentRoot?: string;
  /** More variables, in the workers' environment and among each request's. */
  environment?: Readonly<Record<string, string>>;
  /**
   * Files that the server sends when a worker names them ({@link CgiRequest.respondFile}). Default: none,
   * and naming one is `ERR_IOL_REFUSED`.
   */
  files?: CgiFilesOptions;
  /**
   * Where bodies of requests are received, once and for good: the workers must be let in, and nobody else
   * need be. Default: for each worker a pool that its process alone may read; name one for workers that hand
   * bodies on to other processes.
   */
  bodyPool?: Pool;
  /** Requests that one worker has at a time. Default 256. */
  requestsMax?: number;
  /** Requests that wait for a worker; more are answered 503. Default 1024. */
  queueMax?: number;
  /**
   * How long nothing may happen in a request: then it is answered 504, or cut, and a worker that does
   * not answer at all is ended, 2 s later. Default 60 s.
   */
  timeoutMs?: number;
  /**
   * How long a worker may take to connect. A request waits that long for one, or `timeoutMs` if that is
   * longer; then it is answered 503, as it is when three in a row have ended before they connected. Default 10 s.
   */
  startTimeoutMs?: number;
  /** From SIGTERM to SIGKILL. Default 1 s. */
  killDelayMs?: number;
  /** SERVER_SOFTWARE. Default `io-lite/VERSION`. */
  software?: string;
  /** Called with each line that a worker prints, and with what went wrong. */
  log?: (line: string) => void;
}

/** Since the workers were made, but for the first three. */
export interface CgiWorkersStats {
  /** Process numbers of those that take requests. */
  readonly workers: readonly number[];
  readonly running: number;
  readonly waiting: number;
  readonly requests: number;
  readonly refused: number;
  /** Workers that were started in the place of one that had ended. */
  readonly restarts: number;
}

interface Checked {
  readonly workers: number;
  readonly requestsMax: number;
  readonly queueMax: number;
  readonly timeoutMs: number;
  readonly startTimeoutMs: number;
  readonly killDelayMs: number;
  readonly software: string;
  readonly log: (line: string) => void;
}

const timeoutMsMax = 24 * 3600 * 1000;
const backoffMsMin = 100;
const backoffMsMax = 10_000;
// Who lived so long is started anew as if nothing had happened.
const stableMs = 10_000;
// So many that ended one after the other before they had connected: nobody need wait for the next one.
const failedStartsMax = 3;
const sweepMsMax = 250;
const pingMs = 2000;

function check(options: CgiWorkersOptions): Checked {
  validateObject(options, 'options');
  const {
    module, workers = 1, requestsMax = 256, queueMax = 1024, timeoutMs = 60_000,
    startTimeoutMs = 10_000, killDelayMs = 1000, software = `io-lite/${version}`,
    log = () => undefined, bodyPool,
  } = options;
  validateString(module, 'options.module');
  if (!path.isAbsolute(module)) throw invalidValue('options.module', 'must be an absolute path', module);
  validateInteger(workers, 'options.workers', 1, 256);
  validateInteger(requestsMax, 'options.requestsMax', 1, 65_536);
  validateInteger(queueMax, 'options.queueMax', 0, 1_000_000);
  validateInteger(timeoutMs, 'options.timeoutMs', 1, timeoutMsMax);
  validateInteger(startTimeoutMs, 'options.startTimeoutMs', 1, timeoutMsMax);
  validateInteger(killDelayMs, 'options.killDelayMs', 0, timeoutMsMax);
  validateString(software, 'options.software');
  validateFunction(log, 'options.log');
  if (bodyPool !== undefined && !(bodyPool instanceof Pool)) {
    throw invalidType('options.bodyPool', 'an instance of Pool', bodyPool);
  }
  return { workers, requestsMax, queueMax, timeoutMs, startTimeoutMs, killDelayMs, software, log };
}

const whyHopeless = 'the workers end before they have connected';

interface Waiting {
  readonly request: HttpRequest;
  readonly sweep: number;
}

/**
 * Workers that answer requests in processes of their own, started by the launcher and started anew
 * when they end, at once first and then with more and more time between (0.1 to 10 s). A request is
 * one small message, its body and the answer are names of bytes that stay where they are: the server
 * sends them from the worker's memory, and copies none.
 *
 * The window must be hosted (`Window.create()`) or attached.
 *
 * - 502, or a cut connection when the answer has begun: the worker ended, failed, or broke the rules.
 *   504: nothing happened for `timeoutMs`; if it answers nothing at all, it is killed. 503: too many
 *   wait, no worker came for too long, or each ends before it has connected.
 * - When the client leaves, the worker is told ({@link CgiRequest.signal}).
 *
 * @example
 * ```ts
 * await Window.create({ label: 'server' });
 * const workers = new CgiWorkers({ module: '/srv/app.mjs', log: console.error });
 * const server = await HttpServer.listen({}, (request) => workers.answer(request));
 * ```
 */
export class CgiWorkers implements AsyncDisposable {
  readonly #options: CgiWorkersOptions;
  readonly #checked: Checked;
  readonly #files: WorkerFiles | undefined;
  readonly #window = Window.default();
  readonly #launcher = new Launcher();
  readonly #workers = new Set<WorkerProcess>();
  readonly #waiting: Waiting[] = [];
  readonly #restartTimers = new Set<NodeJS.Timeout>();
  readonly #onChannel = (channel: Channel): void => this.#connect(channel);
  readonly #sweepMs: number;
  readonly #sweepTimer: NodeJS.Timeout;
  // Address and port, as the first request has them.
  #server: string | undefined;
  #sweep = 0;
  #failures = 0;
  #failedStarts = 0;
  #requests = 0;
  #refused = 0;
  #restarts = 0;
  #isClosed = false;

  constructor(options: CgiWorkersOptions) {
    this.#checked = check(options);
    this.#options = options;
    this.#files = options.files === undefined ? undefined : new WorkerFiles(options.files);
    if (this.#window.address === '') {
      throw new IolError('ERR_IOL_CLOSED', 'Nobody can attach to this window: make it with Window.create()');
    }
    this.#window.on('channel', this.#onChannel);
    this.#sweepMs = Math.min(sweepMsMax, Math.ceil(this.#checked.timeoutMs / 4));
    this.#sweepTimer = setInterval(() => this.#onSweep(), this.#sweepMs);
    this.#sweepTimer.unref();
    for (let i = 0; i < this.#checked.workers; i++) this.#start();
  }

  /**
   * Answers `request` by a worker, now or when there is one. Whatever goes wrong is answered, and
   * logged.
   */
  answer(request: HttpRequest): void {
    if (!(request instanceof HttpRequest)) {
      throw invalidType('request', 'an instance of HttpRequest', request);
    }
    if (!request.isOpen) return;
    const worker = this.#isClosed ? undefined : this.#idlest();
    if (worker !== undefined) return this.#give(worker, request);
    if (this.#isHopeless()) {
      this.#refuse(request, whyHopeless);
    } else if (!this.#isClosed && this.#waiting.length < this.#checked.queueMax) {
      this.#waiting.push({ request, sweep: this.#sweep });
    } else {
      this.#refuse(request, 'too many requests wait for a worker');
    }
  }

  #give(worker: WorkerProcess, request: HttpRequest): void {
    this.#requests++;
    try {
      if (this.#server === undefined) {
        const { address, port } = request.address('server');
        this.#server = `${address} ${port}`;
      }
      worker.take(request, this.#server);
    } catch (error) {
      this.#checked.log(`500: ${(error as Error).message}`);
      request.abort();
    }
  }

  #refuse(request: HttpRequest, why: string): void {
    this.#refused++;
    this.#checked.log(`503: ${why}`);
    request.refuse(503);
  }

  // The one with the fewest requests, if it takes one more.
  #idlest(): WorkerProcess | undefined {
    let best: WorkerProcess | undefined;
    for (const worker of this.#workers) {
      if (!worker.isReady || worker.requests.size >= this.#checked.requestsMax) continue;
      if (best === undefined || worker.requests.size < best.requests.size) best = worker;
    }
    return best;
  }

  #isHopeless(): boolean {
    return this.#failedStarts >= failedStartsMax && ![...this.#workers].some((worker) => worker.isReady);
  }

  #refuseWaiting(why: string): void {
    for (const { request } of this.#waiting.splice(0)) {
      if (request.isOpen) this.#refuse(request, why);
    }
  }

  #flush(): void {
    while (this.#waiting.length > 0) {
      const worker = this.#idlest();
      if (worker === undefined) return;
      const { request } = this.#waiting.shift()!;
      if (request.isOpen) this.#give(worker, request);
    }
  }

  #connect(channel: Channel): void {
    for (const worker of this.#workers) {
      if (worker.name === channel.name) return worker.connect(channel);
    }
  }

  #start(): void {
    if (this.#isClosed) return;
    const name = `cgi-${randomBytes(8).toString('hex')}`;
    const { startTimeoutMs, killDelayMs, log } = this.#checked;
    const context: WorkerContext = {
      launcher: this.#launcher,
      launch: this.#launchRequest(name),
      pool: defaultPoolHandle,
      startTimeoutMs,
      killDelayMs,
      files: this.#files,
      bodyPool: this.#options.bodyPool,
      log,
      onReady: () => {
        this.#failedStarts = 0;
        this.#flush();
      },
      onEnded: (worker) => this.#onEnded(worker),
    };
    this.#workers.add(new WorkerProcess(name, context));
  }

  #launchRequest(name: string): WorkerContext['launch'] {
    const { module, arguments: rest = [], execArgv = [] } = this.#options;
    const { scriptName = '', documentRoot, environment = {} } = this.#options;
    const target: Omit<CgiTarget, 'pathInfo'> = {
      program: module, scriptName, environment, ...(documentRoot === undefined ? {} : { documentRoot }),
    };
    const facts: WorkerEnvironment = {
      slot: this.#window.ownDomain.slot, epoch: this.#window.ownDomain.epoch, name,
      target, software: this.#checked.software,
    };
    const env = this.#window.env({ ...environment, [workerVariable]: JSON.stringify(facts) });
    const latin1 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
    return {
      path: latin1(process.execPath),
      folder: latin1(path.dirname(module)),
      arguments: [process.execPath, ...execArgv, module, ...rest].map(latin1),
      environment: Object.entries(env).map(([key, value]) => latin1(`${key}=${value}`)),
      hasInput: false,
    };
  }

  #onEnded(worker: WorkerProcess): void {
    this.#workers.delete(worker);
    if (this.#isClosed) return;
    this.#failures = Date.now() - worker.startedAt >= stableMs ? 0 : this.#failures + 1;
    if (!worker.hasConnected) this.#failedStarts++;
    if (this.#isHopeless()) this.#refuseWaiting(whyHopeless);
    const delayMs = this.#failures <= 1
      ? 0 : Math.min(backoffMsMax, backoffMsMin * 2 ** (this.#failures - 2));
    const timer = setTimeout(() => {
      this.#restartTimers.delete(timer);
      this.#restarts++;
      this.#start();
    }, delayMs);
    this.#restartTimers.add(timer);
  }

  #onSweep(): void {
    this.#sweep++;
    const { timeoutMs, startTimeoutMs } = this.#checked;
    const sweeps = Math.ceil(timeoutMs / this.#sweepMs);
    const pingSweeps = Math.ceil(pingMs / this.#sweepMs);
    for (const worker of this.#workers) worker.sweepOnce(sweeps, timeoutMs, pingSweeps);
    const waitMs = Math.max(timeoutMs, startTimeoutMs);
    const waitSweeps = Math.ceil(waitMs / this.#sweepMs);
    while (this.#waiting.length > 0 && this.#sweep - this.#waiting[0]!.sweep > waitSweeps) {
      const { request } = this.#waiting.shift()!;
      if (request.isOpen) this.#refuse(request, `no worker came within ${waitMs} ms`);
    }
  }

  /** The figures as they are now. */
  stats(): CgiWorkersStats {
    const ready = [...this.#workers].filter((worker) => worker.isReady);
    return {
      workers: ready.map((worker) => worker.pid),
      running: ready.reduce((sum, worker) => sum + worker.requests.size, 0),
      waiting: this.#waiting.length,
      requests: this.#requests,
      refused: this.#refused,
      restarts: this.#restarts,
    };
  }

  /** Takes no more requests, ends the workers (what they have not answered is 502), and waits for that. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#sweepTimer);
    this.#window.off('channel', this.#onChannel);
    for (const timer of this.#restartTimers) clearTimeout(timer);
    this.#refuseWaiting('the workers are closed');
    const workers = [...this.#workers];
    for (const worker of workers) worker.end();
    await Promise.all(workers.map((worker) => worker.ended));
    this.#launcher.close();
  }

  /** The same as {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

