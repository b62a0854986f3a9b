/**
 * The window: the memory that all participants see, and who they are.
 */
import { fork, spawn, type ChildProcess, type ForkOptions, type SpawnOptions } from 'node:child_process';
import { EventEmitter } from 'node:events';

import { orAborted } from '../abort';
import type { Channel, DomainName } from '../channel/channel';
import {
  connectionsOpening, openChannel, setMembershipListener, type DomainInfo,
} from '../channel/membership';
import { closedError, IolError, isIolError } from '../errors';
import { forgetAll } from '../leaks';
import { native } from '../native';
import {
  illegalConstructor, invalidType, invalidValue, validateAbortSignal, validateBoolean,
  validateInteger, validateObject, validateString,
} from '../validate';
import { validateLabel } from './access-list';
import { onImmutable, type ImmutableEvent } from './immutable';
import { createDefaultPool, createPool, openPools, type Pool, type PoolOptions } from './pool';

/** How this thread takes part in a {@link Window}. */
export interface DomainOptions {
  /** What access lists and {@link Window.connect} call this domain: up to 31 printable ASCII characters, no spaces. */
  label?: string;
  /**
   * Limit of all memory of the process; 0 (the default): half of what machine or control group
   * grant. The window is one for all workers: the first to use it decides.
   */
  maxBytes?: number;
  /** No ptrace, no `/proc/PID/mem` by others of this user, and no core file (prctl(2)). */
  undumpable?: boolean;
  /**
   * How long this thread looks for messages before it sleeps, in microseconds. Default 50. When that
   * was in vain it is done less and less often, at least every 64th time.
   */
  spinUs?: number;
}

/** Bounds of the {@link Window}, and where its host answers. */
export interface WindowOptions extends DomainOptions {
  /** End the process at the first store into sealed bytes instead of undoing it. Default false. */
  strict?: boolean;
  /**
   * Where the host answers: `@name` in the abstract namespace, or an absolute path, which the next
   * start reclaims. Default: an abstract name with a random number.
   */
  address?: string;
  /** Domains at a time, this one included. Default 128. */
  domainsMax?: number;
  /** Limit of committed memory of each domain; 0 (the default): as much as its own window. */
  domainMaxBytes?: number;
}

/** How {@link Window.attach} finds its host. */
export interface AttachOptions extends DomainOptions {
  /** As {@link Window.address} gives it. Default: `IOL_WINDOW` of the environment. */
  address?: string;
  /** How long the host may take to answer. Default 5000. */
  timeoutMs?: number;
}

/** How a channel is opened. */
export interface ConnectOptions {
  /** What both sides see as {@link Channel.name}: up to 23 bytes. */
  name?: string;
  /** Room for messages each way: a power of two from 4 KiB to 256 KiB. Default 64 KiB. */
  ringBytes?: number;
  signal?: AbortSignal | undefined;
}

/** One participant: a process, or a worker of one. */
export interface Domain extends DomainName {
  /** What it called itself, or ''. */
  readonly label: string;
}

/** How much memory the {@link Window} may have, and has. */
export interface WindowStats {
  readonly maxBytes: number;
  readonly bytesCommitted: number;
}

/** What a {@link Window} emits. */
export interface WindowEvents {
  immutable: [event: ImmutableEvent];
  /** Another domain has opened a channel. While nobody listens, channels are refused. */
  channel: [channel: Channel];
  /**
   * The host has ended, or (with an error) broke a rule. What was granted and open channels go on;
   * nothing new is granted, and nobody attaches.
   */
  hostGone: [error: IolError | undefined];
  /** Memory that a message names is not for this domain. */
  denied: [segment: number, error: IolError];
  /** At the host: somebody has attached. */
  domainAttached: [domain: DomainInfo];
  /** At the host: somebody has left or died, or (with an error) was cut for breaking a rule. */
  domainGone: [domain: DomainName, error: IolError | undefined];
  /** At the host: somebody never got in; process 0 is an unknown one. */
  turnedAway: [pid: number, error: IolError];
}

/** The library's own channels, by their names: nobody else is told of them. */
const servers = new Map<string, (channel: Channel) => void>();
/** From now on channels of that name are `serve`'s. */
export let setChannelServer: (name: string, serve: (channel: Channel) => Promise<void>) => void;

const nameBytesMax = 23;
const ringBytesMin = 4096;
const ringBytesMax = 256 * 1024;
const spinUsDefault = 50;
const spinUsMax = 10_000;
const domainsMaxMax = 256;

/** What create and attach have in common. */
function checkCommon(options: DomainOptions): { label: string; maxBytes: number; spinUs: number } {
  const { label = '', maxBytes = 0, spinUs = spinUsDefault, undumpable = false } = options;
  validateLabel(label, 'options.label');
  validateInteger(maxBytes, 'options.maxBytes');
  validateInteger(spinUs, 'options.spinUs', 0, spinUsMax);
  validateBoolean(undumpable, 'options.undumpable');
  return { label, maxBytes, spinUs };
}

function isDomainName(value: unknown): value is DomainName {
  const { slot, epoch } = (value ?? {}) as Partial<DomainName>;
  return Number.isInteger(slot) && Number.isInteger(epoch);
}

const makers = Symbol('makers');

/**
 * The memory that all participants see. Each thread has this object of its own, with its own default
 * pool, and is a domain of its own. Workers join the window of their process by themselves.
 *
 * `create()` makes this process the host of a window that others may attach to: children by
 * {@link env}, which has `IOL_WINDOW`. A process that was given that variable attaches at its first use
 * of memory; without it, and without `create()`, its window is its own.
 *
 * Closing it releases everything that this thread has of it, closes its channels and leaves;
 * `create()`, `attach()` or `default()` opens another.
 */
export class Window extends EventEmitter<WindowEvents> implements Disposable, AsyncDisposable {
  static #current: Window | undefined;

  /** Random, the same in all workers. */
  readonly id: string;
  /** The pool of everything for which no other is named. */
  readonly defaultPool: Pool;
  // Why not `domain`: that of an EventEmitter belongs to node:domain, which the prompt of Node uses.
  /** This thread's place in the window. */
  readonly ownDomain: Domain;
  /** Whether the window's host runs in this thread's process, on behalf of this thread. */
  readonly isHost: boolean;
  #isClosed = false;

  readonly #address: string;
  readonly #spinUs: number;
  #isReferenced = true;

  private constructor(caller: symbol, label = '', spinUs = spinUsDefault) {
    if (caller !== makers) throw illegalConstructor();
    super();
    native.windowReopen();
    native.windowStart();
    const [low = 0, high = 0] = native.scratch;
    this.id = ((BigInt(high) << 32n) | BigInt(low)).toString(16).padStart(16, '0');
    this.defaultPool = createDefaultPool();
    this.#address = native.windowFacts();
    const [state, slot, epoch] = native.scratch;
    this.isHost = state === 1;
    this.ownDomain = { slot: slot!, epoch: epoch!, label };
    this.#spinUs = spinUs;
    this.#watchListeners();
    this.#listen();
    setMembershipListener(this.#membership);
  }

  /**
   * Makes this process the host of a window, before anything else uses it.
   *
   * The host answers on a thread of its own: attaching and grants never wait for this one. It ends
   * with this thread's window.
   *
   * @throws {IolError} `ERR_IOL_BUSY` when the window is open here already, `maxBytes` differs from
   * what it has had since its first use in the process, another thread is the host, or somebody
   * answers at the path already. `ERR_IOL_SYSTEM` (EADDRINUSE, EACCES, …) for the address.
   */
  // eslint-disable-next-line @typescript-eslint/require-await -- Its failures are rejections.
  static async create(options: WindowOptions = {}): Promise<Window> {
    validateObject(options, 'options');
    const { strict = false, address = '', domainsMax = 128, domainMaxBytes = 0 } = options;
    const { label, maxBytes, spinUs } = checkCommon(options);
    validateBoolean(strict, 'options.strict');
    validateString(address, 'options.address');
    if (address !== '' && !/^[@/]./.test(address)) {
      throw invalidValue('options.address', 'must be @name or an absolute path', address);
    }
    validateInteger(domainsMax, 'options.domainsMax', 1, domainsMaxMax);
    validateInteger(domainMaxBytes, 'options.domainMaxBytes');
    Window.#checkClosed();
    if (maxBytes > 0) Window.#configure(maxBytes);
    if (strict) native.setStrict(true);
    if (options.undumpable === true) native.windowUndumpable();
    native.windowReopen();
    native.windowHost(label, address, domainsMax, domainMaxBytes);
    return (Window.#current = new Window(makers, label, spinUs));
  }

  /**
   * Takes part in the window of another process, before anything here uses memory.
   *
   * @throws {IolError} `ERR_IOL_BUSY` when a window is open here already, or memory of one is in use.
   * `ERR_IOL_SYSTEM` (ECONNREFUSED, ENOENT) when nobody is there, `ERR_IOL_TIMED_OUT`,
   * `ERR_IOL_FORMAT` for a host of another version, `ERR_IOL_ACCESS_DENIED` for a wrong token,
   * `ERR_IOL_WINDOW_FULL` when there are too many domains, `ERR_IOL_BAD_DESCRIPTOR` for an address that
   * is none.
   */
  static async attach(options: AttachOptions = {}): Promise<Window> {
    validateObject(options, 'options');
    const { address = process.env['IOL_WINDOW'] ?? '', timeoutMs = 5000 } = options;
    const { label, maxBytes, spinUs } = checkCommon(options);
    validateString(address, 'options.address');
    validateInteger(timeoutMs, 'options.timeoutMs', 1, 2 ** 31 - 1);
    if (address === '') {
      throw invalidValue('options.address', 'or IOL_WINDOW must say where the host is', address);
    }
    Window.#checkClosed();
    if (options.undumpable === true) native.windowUndumpable();
    await native.windowAttach(address, label, maxBytes, timeoutMs);
    return (Window.#current = new Window(makers, label, spinUs));
  }

  /**
   * The window of this thread; opens it when need be: attaches to the host that `IOL_WINDOW` names,
   * which takes one round trip, joins the window of the process, or makes one of its own.
   *
   * @throws {IolError} those of {@link attach} but ERR_IOL_BUSY.
   */
  static default(): Window {
    if (Window.#current !== undefined) return Window.#current;
    native.windowAddress(process.env['IOL_WINDOW'] ?? '');
    return (Window.#current = new Window(makers));
  }

  static #checkClosed(): void {
    if (Window.#current !== undefined) {
      throw new IolError('ERR_IOL_BUSY', 'The window is open: close it first, or use default()');
    }
  }

  static #configure(maxBytes: number): void {
    try {
      native.windowConfigure(maxBytes);
    } catch (error) {
      if (!isIolError(error) || error.code !== 'ERR_IOL_BUSY') throw error;
      throw new IolError(
        'ERR_IOL_BUSY',
        `The window is in use with another limit than ${maxBytes} bytes: ` +
          'create it before anything else uses it',
        { cause: error },
      );
    }
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Where others attach: what `IOL_WINDOW` is set to. Empty when nobody can. It is a secret. */
  get address(): string {
    return this.#address;
  }

  /** Whether the host is there: false without one, and after its end. */
  get isAttached(): boolean {
    if (this.#isClosed) return false;
    native.windowFacts();
    return native.scratch[0] === 1 || native.scratch[0] === 2;
  }

  /** The environment for a child that is to attach: that of this process, `extra`, and `IOL_WINDOW`. */
  env(extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
    this.#check();
    validateObject(extra, 'extra');
    return { ...process.env, ...extra, IOL_WINDOW: this.#address };
  }

  /**
   * A child that attaches: `child_process.spawn()` with `IOL_WINDOW` in its environment, which is
   * `options.env` or that of this process. So do its children, unless it takes the variable away.
   */
  spawn(command: string, args: readonly string[] = [], options: SpawnOptions = {}): ChildProcess {
    return spawn(command, args, this.#withAddress(options));
  }

  /** The same with `child_process.fork()`: a Node program, with a channel for messages of Node's. */
  fork(module: string | URL, args: readonly string[] = [], options: ForkOptions = {}): ChildProcess {
    return fork(module, args, this.#withAddress(options));
  }

  #withAddress<T extends { env?: NodeJS.ProcessEnv | undefined }>(options: T): T {
    this.#check();
    validateObject(options, 'options');
    return { ...options, env: { ...(options.env ?? process.env), IOL_WINDOW: this.#address } };
  }

  /**
   * Opens a channel to the domain that is called so (of several the oldest), or to that one.
   *
   * @throws {IolError} `ERR_IOL_NO_DOMAIN` when nobody is called so, or it has ended;
   * `ERR_IOL_REFUSED` while the other side has no listener for 'channel'; `ERR_IOL_BUSY` when it has
   * 256 channels with us; `ERR_IOL_HOST_GONE`, `ERR_IOL_ABORTED`, `ERR_IOL_NO_MEMORY`.
   */
  async connect(to: string | DomainName, options: ConnectOptions = {}): Promise<Channel> {
    this.#check();
    validateObject(options, 'options');
    const { name = '', ringBytes = 65536, signal } = options;
    if (typeof to === 'string') validateLabel(to, 'to');
    else if (!isDomainName(to)) throw invalidType('to', 'of type string or a domain', to);
    if (to === '') throw invalidValue('to', 'must be a label', to);
    validateString(name, 'options.name');
    if (Buffer.byteLength(name) > nameBytesMax) {
      throw invalidValue('options.name', `must be up to ${nameBytesMax} bytes`, name);
    }
    validateInteger(ringBytes, 'options.ringBytes', ringBytesMin, ringBytesMax);
    if ((ringBytes & (ringBytes - 1)) !== 0) {
      throw invalidValue('options.ringBytes', 'must be a power of two', ringBytes);
    }
    validateAbortSignal(signal, 'options.signal');
    const opened = openChannel(to, name, ringBytes, () => this.#listen());
    this.#listen();
    return await orAborted(opened, signal, (late) => late.close());
  }

  /** A listener for 'channel' keeps the process alive (the default). */
  ref(): this {
    this.#isReferenced = true;
    this.#listen();
    return this;
  }

  /** A listener for 'channel' does not keep the process alive. */
  unref(): this {
    this.#isReferenced = false;
    this.#listen();
    return this;
  }

  /** Tells the addon whether channels are accepted, and whether this keeps the loop alive. */
  #listen(): void {
    if (this.#isClosed) return;
    const hasListener = this.listenerCount('channel') > 0;
    const keepsAlive = (hasListener && this.#isReferenced) || connectionsOpening() > 0;
    native.windowListen(hasListener || servers.size > 0, keepsAlive, this.#spinUs);
  }

  #watchListeners(): void {
    const events = this as unknown as EventEmitter;
    events.on('newListener', (event) => {
      // The listener is added behind this call.
      if (event === 'channel') queueMicrotask(() => this.#listen());
    });
    events.on('removeListener', (event) => {
      if (event === 'channel') this.#listen();
    });
  }

  readonly #membership = {
    onChannel: (channel: Channel) => {
      const serve = servers.get(channel.name);
      if (serve !== undefined) serve(channel);
      else if (!this.emit('channel', channel)) channel.close();
    },
    onHostGone: (error: IolError | undefined) => void this.emit('hostGone', error),
    onDenied: (segment: number, error: IolError) => void this.emit('denied', segment, error),
    onDomainAttached: (domain: DomainInfo) => void this.emit('domainAttached', domain),
    onDomainGone: (domain: DomainName, error: IolError | undefined) =>
      void this.emit('domainGone', domain, error),
    onTurnedAway: (pid: number, error: IolError) => void this.emit('turnedAway', pid, error),
  };

  /** A pool of its own. */
  createPool(options: PoolOptions = {}): Pool {
    this.#check();
    return createPool(options);
  }

  /** The figures as they are now. */
  stats(): WindowStats {
    this.#check();
    native.windowStart();
    return { maxBytes: native.scratch[2]!, bytesCommitted: native.scratch[3]! };
  }

  /**
   * Releases everything that this thread has of the window, closes its channels and leaves. What was
   * sent is still received, as far as its receivers have been granted the memory. Idempotent.
   */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    Window.#current = undefined;
    setMembershipListener(undefined);
    openPools.clear();
    native.windowClose();
    forgetAll();
  }

  /** The same as {@link close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** The same as {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  #check(): void {
    if (this.#isClosed) throw closedError('window');
  }

  static {
    setChannelServer = (name, serve) => {
      if (servers.has(name)) return;
      servers.set(name, (channel) => void serve(channel));
      if (Window.#current !== undefined) Window.#current.#listen();
    };
    onImmutable((event) => Window.#current?.emit('immutable', event));
  }
}
