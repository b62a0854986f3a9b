/**
 * One worker, at the server: its process, its channel, the requests that it has.
 */
import path from 'node:path';

import { Aggregate } from './aggregate';
import {
  Frame, frame, hasBody, headerBytes, mayDie, metadataBytesMax, parseFrame, textInPayload,
} from './cgi-frames';
import type { LaunchedProgram, Launcher, LaunchRequest } from './cgi-launcher';
import { readLines } from './cgi-pipes';
import { Heads, WorkerRequest } from './cgi-worker-request';
import type { Channel, Message } from './channel';
import { isIolError } from './errors';
import { Interest, type HttpRequest } from './http-request';

/** What all workers of one set share. */
export interface WorkerContext {
  readonly launcher: Launcher;
  readonly launch: LaunchRequest;
  /** A handle. */
  readonly pool: number;
  readonly startTimeoutMs: number;
  readonly killDelayMs: number;
  readonly log: (line: string) => void;
  /** A worker has come, or has room again. */
  readonly onReady: () => void;
  /** The process has ended, or never was. */
  readonly onEnded: (worker: WorkerProcess) => void;
}

const messagesAtOnce = 64;

// The metadata of a Request: made here, copied by the channel.
const scratch = Buffer.alloc(metadataBytesMax);

function bodyLengthOf(request: HttpRequest): number {
  if ((request.interests & Interest.TransferEncoding) !== 0) return -1;
  if ((request.interests & Interest.ContentLength) === 0) return -1;
  return Number(request.header('content-length'));
}

/** See the head of this file. */
export class WorkerProcess {
  readonly name: string;
  readonly startedAt = Date.now();
  readonly requests = new Map<number, WorkerRequest>();
  sweep = 0;
  pid = 0;
  readonly #context: WorkerContext;
  readonly #heads = new Heads();
  readonly #empty = Aggregate.empty();
  #program: LaunchedProgram | undefined;
  #channel: Channel | undefined;
  #lastId = 0;
  #isEnding = false;
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

  /** Whether it takes requests: not while it is not known to be alive. */
  get isReady(): boolean {
    return this.#channel !== undefined && !this.#isEnding && this.#pingSweep === 0;
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
    this.#channel = channel;
    void this.#receive(channel);
    this.#context.onReady();
  }

  // Never rejects.
  async #receive(channel: Channel): Promise<void> {
    try {
      for (let taken = 1; ; taken++) {
        const message = (taken % messagesAtOnce === 0 ? undefined : channel.tryReceive()) ??
          await channel.receive();
        if (message === null) break;
        if (this.#onMessage(message)) continue;
        this.#context.log('a worker broke the rules of its channel, and is ended');
        break;
      }
    } catch (error) {
      if (!isIolError(error) || error.code !== 'ERR_IOL_PEER_DEAD') {
        this.#context.log(`a worker's channel failed: ${(error as Error).message}`);
      }
    }
    channel.close();
    if (!this.#isEnding) this.kill();
    await this.#program?.ended;
    this.#end();
  }

  #onMessage({ aggregate, metadata }: Message): boolean {
    const received = parseFrame(metadata);
    if (received === undefined) {
      aggregate.dispose();
      return false;
    }
    if (this.#pingSweep !== 0) {
      this.#pingSweep = 0;
      this.#context.onReady();
    }
    if (received.kind === Frame.Failed && (received.flags & mayDie) !== 0) this.#ping();
    const request = this.requests.get(received.id);
    if (request === undefined) {  // It was given up, or this is a Pong.
      aggregate.dispose();
      return true;
    }
    request.lastSweep = this.sweep;
    return request.onFrame(received, metadata, aggregate);
  }

  /** Hands a request over. */
  take(request: HttpRequest, server: string): void {
    const { address, port } = request.address('client');
    const text = scratch.write(`${address} ${port} ${server}\n`, headerBytes, 'latin1');
    const id = this.#nextId();
    this.requests.set(id, new WorkerRequest(request, id, this.sweep, this.#send, this.#heads, {
      done: () => {
        this.requests.delete(id);
        this.#context.onReady();
      },
      log: this.#context.log,
    }));
    const hasOne = (request.interests & (Interest.ContentLength | Interest.TransferEncoding)) !== 0;
    const headAt = headerBytes + text;
    const headBytes = request.copyHead(scratch, headAt);
    const fits = headBytes <= scratch.length - headAt;
    scratch[0] = Frame.Request;
    scratch[1] = (hasOne ? hasBody : 0) | (fits ? 0 : textInPayload);
    scratch.writeUInt16LE(request.versionMinor, 2);
    scratch.writeUInt32LE(id, 4);
    scratch.writeDoubleLE(hasOne ? bodyLengthOf(request) : -1, 8);
    if (fits) return this.#send(undefined, scratch.subarray(0, headAt + headBytes));
    const long = Buffer.allocUnsafe(headBytes);
    request.copyHead(long, 0);
    using payload = Aggregate.from(long);
    this.#send(payload, scratch.subarray(0, headAt));
  }

  #nextId(): number {
    do {
      this.#lastId = (this.#lastId + 1) >>> 0 || 1;
    } while (this.requests.has(this.#lastId));
    return this.#lastId;
  }

  readonly #send = (bytes: Aggregate | undefined, metadata: Uint8Array): void => {
    const channel = this.#channel;
    if (channel === undefined || channel.isClosed) return;
    const payload = bytes ?? this.#empty;
    try {
      // A full ring: it is sent in its turn. Its end is the receiving side's business.
      if (!channel.trySend(payload, metadata)) channel.send(payload, metadata).catch(() => undefined);
    } catch {
      // So is this.
    }
  };

  /**
   * Gives up requests in which nothing has happened for `sweeps`, and the worker itself when it does
   * not even answer a Ping.
   */
  sweepOnce(sweeps: number, timeoutMs: number, pingSweeps: number): void {
    this.sweep++;
    let isLate = false;
    for (const request of [...this.requests.values()]) {
      if (request.waitsForClient) request.lastSweep = this.sweep;
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
    this.#send(undefined, frame(Frame.Ping, 0));
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
    this.#heads.clear();
    this.#empty.dispose();
    this.#tellEnded();
    this.#context.onEnded(this);
  }
}
