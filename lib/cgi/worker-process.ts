/**
 * One worker, at the server: its process, its channel, the requests that it has.
 */
import path from 'node:path';

import { Aggregate } from '../aggregate/aggregate';
import { sendFrame, takeFrame, whenChannelReady, type Channel } from '../channel/channel';
import { frameOut } from '../channel/metadata';
import { Interest, type HttpRequest } from '../http/request';
import { native } from '../native';
import { handleOf } from '../resource';
import type { Pool } from '../window/pool';
import { Window } from '../window/window';
import {
  Frame, hasBody, headerBytes, mayDie, putFrame, readFrame, received, textBytesMax, textInPayload,
} from './frames';
import type { LaunchedProgram, Launcher, LaunchRequest } from './launcher';
import { readLines } from './pipes';
import type { WorkerFiles } from './worker-files';
import { Heads, WorkerRequest, type RequestWorker } from './worker-request';

/** What all workers of one set share. */
export interface WorkerContext {
  readonly launcher: Launcher;
  readonly launch: LaunchRequest;
  /** A handle. */
  readonly pool: number;
  readonly startTimeoutMs: number;
  readonly killDelayMs: number;
  readonly files: WorkerFiles | undefined;
  /** Undefined: each worker has its own, which nobody else may read. */
  readonly bodyPool: Pool | undefined;
  readonly log: (line: string) => void;
  /** A worker has come, or has room again. */
  readonly onReady: () => void;
  /** The process has ended, or never was. */
  readonly onEnded: (worker: WorkerProcess) => void;
}

const messagesAtOnce = 256;
// No more of a body than its credit is on its way to a worker.
const bodyBytesIdleMax = 4 << 20;

const { aggregateDispose, scratch } = native;

function bodyLengthOf(request: HttpRequest): number {
  if ((request.interests & Interest.TransferEncoding) !== 0) return -1;
  if ((request.interests & Interest.ContentLength) === 0) return -1;
  return Number(request.header('content-length'));
}

/** See the head of this file. */
export class WorkerProcess implements RequestWorker {
  readonly name: string;
  readonly startedAt = Date.now();
  readonly requests = new Map<number, WorkerRequest>();
  readonly heads = new Heads();
  sweep = 0;
  pid = 0;
  readonly #context: WorkerContext;
  readonly #empty = Aggregate.empty();
  #program: LaunchedProgram | undefined;
  #ownBodyPool: Pool | undefined;
  #channel: Channel | undefined;
  #handle = 0;
  #knowsServer = false;
  #lastId = 0;
  #isEnding = false;
  #hasLeft = false;
  #hasEnded = false;
  #pingSweep = 0;
  #killTimer: NodeJS.Timeout | undefined;
  readonly ended: Promise<void>;
  #tellEnded!: () => void;

  constructor(name: string, context: WorkerContext) {
    this.name = name;
    this.#context = context;
    this.ended = new Promise((resolve) => (this.#tellEnded = resolve));
    void this.#run();
  }

  get files(): WorkerFiles | undefined {
    return this.#context.files;
  }

  get bodyPool(): Pool {
    return this.#context.bodyPool ?? (this.#ownBodyPool ??=
      Window.default().createPool({
        name: 'bodies', idleBytesMax: bodyBytesIdleMax, access: [{ pid: this.pid }],
      }));
  }

  /** Whether it takes requests: not while it is not known to be alive. */
  get isReady(): boolean {
    return this.#channel !== undefined && !this.#isEnding && this.#pingSweep === 0;
  }

  get hasConnected(): boolean {
    return this.#channel !== undefined;
  }

  async #run(): Promise<void> {
    const { launcher, launch, pool, startTimeoutMs, log } = this.#context;
    try {
      this.#program = await launcher.start(launch);
    } catch (error) {
      log(`could not be started: ${(error as Error).message}`);
      return this.#end();
    }
    const program = this.#program;
    this.pid = program.pid;
    const exited = new AbortController();
    const name = path.basename(launch.arguments.at(-1) ?? '');
    const print = (line: string): void => log(`${name}: ${line}`);
    const reading = [program.output, program.errors].map((fd) =>
      readLines(pool, fd, exited.signal, print).catch(() => undefined));
    const timer = setTimeout(() => {
      if (this.#channel !== undefined) return;
      log(`${name} did not connect within ${startTimeoutMs} ms`);
      this.kill();
    }, startTimeoutMs);
    if (this.#isEnding) program.signal('terminate');
    const { exitCode, signal } = await program.ended;
    clearTimeout(timer);
    clearTimeout(this.#killTimer);
    exited.abort();
    if (!this.#isEnding || exitCode !== 0) {
      log(`${name} (process ${this.pid}) ended: ${signal ?? `exit code ${exitCode}`}`);
    }
    await Promise.all(reading);
    program.closeAll();
    // What it had sent before is still answered: the channel ends by itself.
    if (this.#channel === undefined) this.#end();
  }

  /** Its channel has come. */
  connect(channel: Channel): void {
    if (this.#channel !== undefined || this.#hasEnded) return channel.close();
    this.#channel = channel.cork();
    this.#handle = handleOf(channel);
    whenChannelReady(channel, this.#onTurn);
    this.#context.onReady();
  }

  readonly #onTurn = (): void => {
    try {
      this.#receive(this.#channel!);
    } catch (error) {
      this.#context.log(`a worker's channel failed: ${(error as Error).message}`);
      this.#leave();
    }
    if (!this.#hasLeft) whenChannelReady(this.#channel!, this.#onTurn);
  };

  #receive(channel: Channel): void {
    for (let i = 0; i < messagesAtOnce && !this.#hasLeft; i++) {
      const payload = channel.isClosed ? -1 : takeFrame(this.#handle);
      if (payload === 0) return;
      if (payload < 0) return this.#leave();
      if (this.#onMessage(payload)) continue;
      this.#context.log('a worker broke the rules of its channel, and is ended');
      return this.#leave();
    }
  }

  // Nothing more comes from it.
  #leave(): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#channel?.close();
    if (!this.#isEnding) this.kill();
    void Promise.resolve(this.#program?.ended).then(() => this.#end());
  }

  #onMessage(payload: number): boolean {
    if (!readFrame()) {
      aggregateDispose(payload);
      return false;
    }
    if (this.#pingSweep !== 0) {
      this.#pingSweep = 0;
      this.#context.onReady();
    }
    if (received.kind === Frame.Failed && (received.flags & mayDie) !== 0) this.#ping();
    const request = this.requests.get(received.id);
    if (request === undefined) {  // It was given up, or this is a Pong.
      aggregateDispose(payload);
      return true;
    }
    request.lastSweep = this.sweep;
    return request.onFrame(received, payload);
  }

  /** Hands a request over. `server`: its address and port. */
  take(request: HttpRequest, server: string): void {
    if (!this.#knowsServer) {
      this.#knowsServer = true;
      this.send(undefined, putFrame(Frame.Server, 0, 0, 0, 0, server));
    }
    const id = this.#nextId();
    const hasOne = (request.interests & (Interest.ContentLength | Interest.TransferEncoding)) !== 0;
    const flags = hasOne ? hasBody : 0;
    const length = hasOne ? bodyLengthOf(request) : -1;
    const bytes = request.copyRequest(frameOut, headerBytes);
    if (bytes <= textBytesMax) {
      putFrame(Frame.Request, id, flags, request.versionMinor, length);
      this.#add(id, request);
      return this.send(undefined, headerBytes + bytes);
    }
    const lineBytes = scratch[0]!;
    const text = Buffer.allocUnsafe(bytes);
    request.copyRequest(text, 0);
    using head = Aggregate.from(text.subarray(lineBytes));
    const line = text.toString('latin1', 0, lineBytes);
    this.#add(id, request);
    this.send(head, putFrame(
      Frame.Request, id, flags | textInPayload, request.versionMinor, length, line));
  }

  #add(id: number, request: HttpRequest): void {
    this.requests.set(id, new WorkerRequest(request, id, this.sweep, this));
  }

  done(id: number): void {
    this.requests.delete(id);
    this.#context.onReady();
  }

  log(line: string): void {
    this.#context.log(line);
  }

  #nextId(): number {
    do {
      this.#lastId = (this.#lastId + 1) >>> 0 || 1;
    } while (this.requests.has(this.#lastId));
    return this.#lastId;
  }

  send(bytes: Aggregate | undefined, frameBytes: number): void {
    const channel = this.#channel;
    if (channel === undefined || channel.isClosed) return;
    sendFrame(channel, handleOf(bytes ?? this.#empty), frameBytes);
  }

  /**
   * Gives up requests in which nothing has happened for `sweeps`, and the worker itself when it does
   * not even answer a Ping.
   */
  sweepOnce(sweeps: number, timeoutMs: number, pingSweeps: number): void {
    this.sweep++;
    let isLate = false;
    for (const request of [...this.requests.values()]) {
      if (request.waitsForOthers) request.lastSweep = this.sweep;
      if (this.sweep - request.lastSweep <= sweeps) continue;
      isLate = true;
      request.giveUp(504, `a worker did nothing for a request for ${timeoutMs} ms`);
    }
    if (isLate && this.#pingSweep === 0) this.#ping();
    if (this.#pingSweep === 0 || this.sweep - this.#pingSweep <= pingSweeps) return;
    this.#context.log(`a worker (process ${this.pid}) hangs, and is ended`);
    this.kill();
  }

  // Until it answers anything it gets no requests.
  #ping(): void {
    this.#pingSweep = Math.max(1, this.sweep);
    this.send(undefined, putFrame(Frame.Ping, 0));
  }

  /** Lets it end by the end of its channel; then SIGTERM, then SIGKILL. */
  end(): void {
    this.#isEnding = true;
    this.#channel?.close();
    if (this.#channel === undefined) this.#program?.signal('terminate');
    const { killDelayMs } = this.#context;
    this.#killTimer = setTimeout(() => {
      this.#program?.signal('terminate');
      this.#killTimer = setTimeout(() => this.kill(), killDelayMs);
    }, killDelayMs);
  }

  kill(): void {
    this.#program?.signal('kill');
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#isEnding = true;
    clearTimeout(this.#killTimer);
    this.#channel?.close();
    for (const request of [...this.requests.values()]) request.fail(502, 'a worker ended before its answer did');
    this.heads.clear();
    this.#empty.dispose();
    this.#ownBodyPool?.dispose();
    this.#tellEnded();
    this.#context.onEnded(this);
  }
}
