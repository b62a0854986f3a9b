/**
 * The worker's side: requests come over one channel, answers go back over it.
 */
import { setImmediate } from 'node:timers/promises';

import { adoptAggregate, Aggregate, type HeldBytes } from '../aggregate/aggregate';
import { sendFrame, takeFrame, whenChannelReady, type Channel } from '../channel/channel';
import { IolError, isIolError } from '../errors';
import { native } from '../native';
import { handleOf } from '../resource';
import { validateFunction } from '../validate';
import { Window } from '../window/window';
import {
  Frame, headsMax, mayDie, putFrame, readFrame, received, receivedText, textInPayload,
} from './frames';
import type { CgiResponseHead } from './head';
import { CgiRequest, type WorkerFacts, type WorkerLink } from './request';

/** What the server says in the environment of a worker, as JSON. @internal */
export interface WorkerEnvironment extends WorkerFacts {
  /** The server's domain. */
  readonly slot: number;
  readonly epoch: number;
  /** Of the channel: the server knows its workers by it. */
  readonly name: string;
}

/** The variable that it is in. @internal */
export const workerVariable = 'IOL_CGI';

/**
 * Decides about a request, at once or later. What it throws, or rejects with, is answered 502 if
 * nothing was, and then is an uncaught exception; but for `ERR_IOL_ABORTED` when the client has left, and
 * for a file that the server could not give ({@link CgiRequest.respondFile}).
 */
export type CgiHandler = (request: CgiRequest) => void | PromiseLike<void>;

// Messages that are taken in one turn of the loop.
const messagesAtOnce = 64;
const ringBytes = 256 << 10;

const { scratch } = native;

function environment(): WorkerEnvironment {
  const text = process.env[workerVariable];
  if (text === undefined) {
    throw new IolError('ERR_IOL_CLOSED', `There is no server: ${workerVariable} is not set ` +
      '(workers are started by CgiWorkers, or by flash-lite --app)');
  }
  return JSON.parse(text) as WorkerEnvironment;
}

class Worker implements WorkerLink {
  readonly facts: WorkerFacts;
  server = '';
  nextHead = 0;
  readonly #channel: Channel;
  readonly #handle: number;
  readonly #handler: CgiHandler;
  readonly #requests = new Map<number, CgiRequest>();
  readonly #empty = Aggregate.empty();
  readonly #heads: CgiResponseHead[] = [];
  #isPaused = false;
  #hasLeft = false;
  readonly ended: Promise<void>;
  #resolve!: () => void;
  #reject!: (error: unknown) => void;

  constructor(channel: Channel, facts: WorkerFacts, handler: CgiHandler) {
    this.#channel = channel.cork();
    this.#handle = handleOf(channel);
    this.facts = facts;
    this.#handler = handler;
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    whenChannelReady(channel, this.#onTurn);
  }

  readonly #onTurn = (): void => {
    try {
      if (!this.#isPaused) this.#receive();
    } catch (error) {
      this.#leave(error);
    }
    if (!this.#hasLeft) whenChannelReady(this.#channel, this.#onTurn);
  };

  #receive(): void {
    for (let i = 0; i < messagesAtOnce && !this.#isPaused; i++) {
      const payload = this.#channel.isClosed ? -1 : takeFrame(this.#handle);
      if (payload === 0) return;
      if (payload < 0) return this.#leave();
      this.#onMessage(payload);
    }
  }

  #leave(error?: unknown): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    const isEnd = error === undefined ||
      (isIolError(error) && ['ERR_IOL_PEER_DEAD', 'ERR_IOL_CLOSED'].includes(error.code));
    for (const request of [...this.#requests.values()]) request.leave();
    this.#empty.dispose();
    this.#channel.close();
    if (isEnd) this.#resolve();
    else this.#reject(error);
  }

  reply(bytes: HeldBytes | undefined, length: number): void {
    if (this.#channel.isClosed) return;
    sendFrame(this.#channel, handleOf(bytes ?? this.#empty), length);
  }

  done(id: number): void {
    this.#requests.delete(id);
  }

  knows(head: CgiResponseHead): boolean {
    return this.#heads[head.number] === head;
  }

  addHead(head: CgiResponseHead): void {
    head.number = this.nextHead;
    this.#heads[head.number] = head;
    this.nextHead = (this.nextHead + 1) % headsMax;
  }

  #onMessage(payload: number): void {
    if (!readFrame()) return native.aggregateDispose(payload);
    if (received.kind === Frame.Request) return this.#onRequest(payload);
    const request = this.#requests.get(received.id);
    if (request !== undefined) return request.onFrame(received, adoptAggregate(payload, scratch[0]!));
    native.aggregateDispose(payload);
    if (received.kind === Frame.Server) this.server = receivedText();
    if (received.kind === Frame.Ping) this.reply(undefined, putFrame(Frame.Pong, 0));
  }

  #onRequest(payload: number): void {
    let text = receivedText();
    if ((received.flags & textInPayload) === 0) {
      native.aggregateDispose(payload);
    } else {
      using head = adoptAggregate(payload, scratch[0]!);
      text += head.toString('latin1');
    }
    const request = new CgiRequest(received, text, this);
    this.#requests.set(received.id, request);
    let outcome: void | PromiseLike<void> = undefined;
    try {
      outcome = this.#handler(request);
    } catch (error) {
      this.#fail(request, error);
    }
    if (typeof outcome?.then !== 'function') return;
    outcome.then(undefined, (error: unknown) => this.#fail(request, error));
  }

  #fail(request: CgiRequest, error: unknown): void {
    // A client that has left ends reads and writes: nothing has gone wrong.
    if (!request.isOpen && isIolError(error) && error.code === 'ERR_IOL_ABORTED') return;
    if (request.failFile(error)) return;
    request.fail(error instanceof Error ? error.message : String(error), mayDie);
    // Why: the exception comes first. Who answers a Ping before it dies of it is sent requests.
    this.#isPaused = true;
    void setImmediate().then(() => {
      this.#isPaused = false;
    });
    // Why not from here: this is the loop of all requests. The server has been told already.
    queueMicrotask(() => {
      throw error;
    });
  }
}

/**
 * Answers requests in a process of its own, which a server has started ({@link CgiWorkers},
 * `flash-lite --app`). Attaches to the server's window; requests and answers are messages of one
 * channel, whose bytes stay where they are. A server that sleeps is woken when the turn of the event
 * loop ends in which it was answered.
 *
 * @example
 * ```ts
 * import { Aggregate } from 'io-lite';
 * import { CgiResponseHead, serve } from 'io-lite/cgi';
 *
 * const head = new CgiResponseHead(200, { 'Content-Type': 'text/plain' });
 * const body = Aggregate.from('made once, sent as often as it is asked for');
 * await serve((request) => request.respond(head, body));
 * ```
 *
 * @returns when the server has ended it, or has ended.
 * @throws {IolError} `ERR_IOL_CLOSED` without a server, and those of {@link Window.default} and
 * {@link Window.connect}.
 */
export async function serve(handler: CgiHandler): Promise<void> {
  validateFunction(handler, 'handler');
  const { slot, epoch, name, ...facts } = environment();
  const channel = await Window.default().connect({ slot, epoch }, { name, ringBytes });
  await new Worker(channel, facts, handler).ended;
}
