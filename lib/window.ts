/**
 * The window: the memory that all participants see, and the default pool.
 */
import { EventEmitter } from 'node:events';

import { closedError, IolError, isIolError } from './errors';
import { onImmutable, type ImmutableEvent } from './immutable';
import { forgetAll } from './leaks';
import { native } from './native';
import { createDefaultPool, createPool, openPools, type Pool, type PoolOptions } from './pool';
import { illegalConstructor, validateBoolean, validateInteger, validateObject } from './validate';

/** Bounds of the {@link Window}. */
export interface WindowOptions {
  /**
   * Limit of all memory of the process; 0 (the default): half of what machine or control group
   * grant. The window is one for all workers: the first to use it decides.
   */
  maxBytes?: number;
  /** End the process at the first store into sealed bytes instead of undoing it. Default false. */
  strict?: boolean;
}

/** How much memory the {@link Window} may have, and has. */
export interface WindowStats {
  readonly maxBytes: number;
  readonly bytesCommitted: number;
}

/** What a {@link Window} emits. */
export interface WindowEvents {
  immutable: [event: ImmutableEvent];
}

const makers = Symbol('makers');

/**
 * The memory that all participants see. One per process, shared by its workers; each of them has
 * this object of its own, with its own default pool.
 *
 * Closing it releases everything that this thread has of it; `create()` or `default()` opens it
 * anew.
 */
export class Window extends EventEmitter<WindowEvents> implements Disposable, AsyncDisposable {
  static #current: Window | undefined;

  /** Random, the same in all workers. */
  readonly id: string;
  /** The pool of everything for which no other is named. */
  readonly defaultPool: Pool;
  #isClosed = false;

  private constructor(caller: symbol) {
    if (caller !== makers) throw illegalConstructor();
    super();
    native.windowReopen();
    native.windowStart();
    const [low = 0, high = 0] = native.scratch;
    this.id = ((BigInt(high) << 32n) | BigInt(low)).toString(16).padStart(16, '0');
    this.defaultPool = createDefaultPool();
  }

  /**
   * Opens the window with options of its own, before anything else uses it.
   *
   * @throws {IolError} `ERR_IOL_BUSY` when it is open here already, or `maxBytes` differs from what
   * it has had since its first use in the process.
   */
  // eslint-disable-next-line @typescript-eslint/require-await -- Attaching to a host will wait.
  static async create(options: WindowOptions = {}): Promise<Window> {
    validateObject(options, 'options');
    const { maxBytes = 0, strict = false } = options;
    validateInteger(maxBytes, 'options.maxBytes');
    validateBoolean(strict, 'options.strict');
    if (Window.#current !== undefined) {
      throw new IolError('ERR_IOL_BUSY', 'The window is open: close it first, or use default()');
    }
    if (maxBytes > 0) Window.#configure(maxBytes);
    if (strict) native.setStrict(true);
    return (Window.#current = new Window(makers));
  }

  /** The window of this thread; opens it when need be. */
  static default(): Window {
    return (Window.#current ??= new Window(makers));
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

  /** Releases everything that this thread has of the window. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    Window.#current = undefined;
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
    onImmutable((event) => Window.#current?.emit('immutable', event));
  }
}
