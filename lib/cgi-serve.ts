/**
 * The worker's side: requests come over one channel, answers go back over it.
 */
import { setImmediate } from 'node:timers/promises';

import { Aggregate, type HeldBytes } from './aggregate';
import type { Channel, Message } from './channel';
import { Frame, frame, mayDie, parseFrame, textInPayload, textOf, type Received } from './cgi-frames';
import { CgiRequest, type WorkerFacts } from './cgi-request';
import { IolError, isIolError } from './errors';
import { validateFunction } from './validate';
import { Window } from './window';

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
 * nothing was, and then is an uncaught exception; but for `ERR_IOL_ABORTED` when the client has left.
 */
export type CgiHandler = (request: CgiRequest) => void | PromiseLike<void>;

// Messages that are taken without a turn of the loop between them.
const messagesAtOnce = 64;
const ringBytes = 256 << 10;

function environment(): WorkerEnvironment {
  const text = process.env[workerVariable];
  if (text === undefined) {
    throw new IolError('ERR_IOL_CLOSED', `There is no server: ${workerVariable} is not set ` +
      '(workers are started by CgiWorkers, or by flash-lite --app)');
  }
  return JSON.parse(text) as WorkerEnvironment;
}

class Worker {
  readonly #channel: Channel;
  readonly #facts: WorkerFacts;
  readonly #handler: CgiHandler;
  readonly #requests = new Map<number, CgiRequest>();
  readonly #empty = Aggregate.empty();
  #hasFailed = false;

  constructor(channel: Channel, facts: WorkerFacts, handler: CgiHandler) {
    this.#channel = channel;
    this.#facts = facts;
    this.#handler = handler;
  }

  async run(): Promise<void> {
    try {
      for (let taken = 1; ; taken++) {
        const message = (taken % messagesAtOnce === 0 ? undefined : this.#channel.tryReceive()) ??
          await this.#channel.receive();
        if (message === null) return;
        // Why: the exception comes first. Who answers a Ping before it dies of it is sent requests.
        if (this.#hasFailed) {
          this.#hasFailed = false;
          await setImmediate();
        }
        this.#onMessage(message);
      }
    } catch (error) {
      if (!isIolError(error) || !['ERR_IOL_PEER_DEAD', 'ERR_IOL_CLOSED'].includes(error.code)) throw error;
    } finally {
      for (const request of [...this.#requests.values()]) request.leave();
      this.#empty.dispose();
      this.#channel.close();
    }
  }

  readonly #reply = (bytes: HeldBytes | undefined, metadata: Uint8Array): void => {
    const payload = bytes ?? this.#empty;
    try {
      if (this.#channel.trySend(payload, metadata)) return;
    } catch (error) {
      if (isIolError(error) && ['ERR_IOL_PEER_DEAD', 'ERR_IOL_CLOSED'].includes(error.code)) return;
      throw error;
    }
    // The ring is full: it is sent in its turn, or the channel ends.
    this.#channel.send(payload, metadata).catch(() => undefined);
  };

  #onMessage({ aggregate, metadata }: Message): void {
    const received = parseFrame(metadata);
    if (received?.kind === Frame.Request) return this.#onRequest(received, metadata, aggregate);
    const request = received === undefined ? undefined : this.#requests.get(received.id);
    if (received !== undefined && request !== undefined) return request.onFrame(received, aggregate);
    aggregate.dispose();
    if (received?.kind === Frame.Ping) this.#reply(undefined, frame(Frame.Pong, 0));
  }

  #onRequest(received: Received, metadata: Buffer, payload: Aggregate): void {
    const text = textOf(metadata);
    const end = text.indexOf('\n');
    const head = (received.flags & textInPayload) === 0
      ? text.slice(end + 1) : payload.toString('latin1');
    payload.dispose();
    const { id } = received;
    const request = new CgiRequest(received, text.slice(0, end), head, this.#facts, this.#reply,
      () => this.#requests.delete(id));
    this.#requests.set(id, request);
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
    this.#hasFailed = true;
    request.fail(error instanceof Error ? error.message : String(error), mayDie);
    // Why not from here: this is the loop of all requests. The server has been told already.
    queueMicrotask(() => {
      throw error;
    });
  }
}

/**
 * Answers requests in a process of its own, which a server has started ({@link CgiWorkers},
 * `flash-lite --app`). Attaches to the server's window; requests and answers are messages of one
 * channel, whose bytes stay where they are.
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
  await new Worker(channel, facts, handler).run();
}
