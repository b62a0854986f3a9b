/**
 * Pools: buffers with one owner and one limit.
 */
import { adoptDraft, type DraftBuffer } from '../aggregate/draft';
import type { Kind } from '../leaks';
import { defaultPoolHandle, native } from '../native';
import { handleOf, Resource } from '../resource';
import {
  illegalConstructor, validateBoolean, validateInteger, validateObject, validateString,
} from '../validate';
import { checkAccess, type AccessRule } from './access-list';

/** Name and bounds of a {@link Pool}. */
export interface PoolOptions {
  /** Shown in figures and errors. */
  name?: string;
  /** Limit of memory in use and kept for reuse; 0 (the default): as much as the window. */
  maxBytes?: number;
  /** Free memory that is kept for reuse. Default 64 MiB. */
  idleBytesMax?: number;
  /**
   * Refuse every later writable mapping, even by a process of the same user. Such a pool gives
   * memory back by whole segments only. Default false.
   */
  sealed?: boolean;
  /**
   * Which domains may read the pool, beside its owner: those that any of up to 16 rules lets in.
   * Default: every domain of the window. Decided for good.
   *
   * The memory is granted when a domain first receives a message with a name in it; who is not let in
   * gets `ERR_IOL_ACCESS_DENIED` for that message, and nothing of the pool is mapped there.
   */
  access?: readonly AccessRule[];
}

/** What a {@link Pool} has and has done; bytes unless it says otherwise. */
export interface PoolStats {
  readonly name: string;
  /** Capacity of live buffers, drafts included. */
  readonly bytesInUse: number;
  /** Free, and kept for reuse. */
  readonly bytesFree: number;
  readonly bytesCommitted: number;
  readonly buffers: number;
  readonly drafts: number;
  /** Released here and still held elsewhere. */
  readonly pending: number;
  readonly segments: number;
  /** Since the pool was made, as the following ones. */
  readonly allocations: number;
  /** What was asked for; `grantedTotal - requestedTotal` is the size classes' waste. */
  readonly requestedTotal: number;
  readonly grantedTotal: number;
  readonly commitsInline: number;
  readonly commitsAhead: number;
  /** Given back to the system. */
  readonly bytesReturned: number;
  readonly maxBytes: number;
  readonly idleBytesMax: number;
}

const { draftAllocate } = native;

/** In the order of the addon's poolStats(). */
const figures = [
  'bytesInUse', 'bytesFree', 'bytesCommitted', 'buffers', 'drafts', 'pending', 'segments',
  'allocations', 'requestedTotal', 'grantedTotal', 'commitsInline', 'commitsAhead',
  'bytesReturned', 'maxBytes', 'idleBytesMax',
] as const;

const poolKind: Kind = { subject: 'pool', release: (handle) => native.poolClose(handle) };

/** Pools that are open, for stats(). */
export const openPools = new Set<WeakRef<Pool>>();

function makePool(options: PoolOptions): [handle: number, name: string] {
  validateObject(options, 'options');
  const { name = 'pool', maxBytes = 0, idleBytesMax = 64 * 1024 * 1024, sealed = false } = options;
  validateString(name, 'options.name');
  validateInteger(maxBytes, 'options.maxBytes');
  validateInteger(idleBytesMax, 'options.idleBytesMax');
  validateBoolean(sealed, 'options.sealed');
  const rules = checkAccess(options.access, 'options.access');
  return [native.poolCreate(maxBytes, idleBytesMax, sealed, rules, name), name];
}

const makers = Symbol('makers');

/** The pool of options, and the environment's default pool; for window.ts. */
export let createPool: (options: PoolOptions) => Pool;
export let createDefaultPool: () => Pool;

/** Buffers with one owner and one limit. Made by `window.createPool()`. */
export class Pool extends Resource {
  readonly name: string;
  readonly #self = new WeakRef(this);

  static {
    createPool = (options) => new Pool(makers, ...makePool(options));
    createDefaultPool = () => new Pool(makers, defaultPoolHandle, 'default');
  }

  private constructor(caller: symbol, handle: number, name: string) {
    if (caller !== makers) throw illegalConstructor();
    super(poolKind, handle, handle !== defaultPoolHandle);
    this.name = name;
    openPools.add(this.#self);
  }

  /**
   * Memory for `byteLength` bytes.
   *
   * @throws {IolError} `ERR_IOL_POOL_FULL`, `ERR_IOL_WINDOW_FULL`, `ERR_IOL_NO_MEMORY` or
   * `ERR_IOL_TOO_LARGE`, before the system is asked; nothing was taken.
   */
  allocate(byteLength: number): DraftBuffer {
    const handle = handleOf(this);
    validateInteger(byteLength, 'byteLength');
    return adoptDraft(draftAllocate(handle, byteLength), byteLength + 0, this);
  }

  /** Gives free memory beyond `keepBytes` back to the system now; the bytes given back. */
  trim(keepBytes = 0): number {
    const handle = handleOf(this);
    validateInteger(keepBytes, 'keepBytes');
    return native.poolTrim(handle, keepBytes);
  }

  /** The figures as they are now. */
  stats(): PoolStats {
    native.poolStats(handleOf(this));
    const stats: Record<string, unknown> = { name: this.name };
    figures.forEach((figure, i) => (stats[figure] = native.scratch[i]));
    return stats as unknown as PoolStats;
  }

  /**
   * Closes the pool. Its buffers live on; its memory goes back with the last of them. The default
   * pool is closed by its window alone.
   */
  override dispose(): void {
    if (this.isDisposed || handleOf(this) === defaultPoolHandle) return;
    super.dispose();
    openPools.delete(this.#self);
  }

  protected override inspectFields(): Record<string, unknown> {
    const { bytesInUse, maxBytes, buffers } = this.stats();
    return { name: this.name, buffers, bytesInUse, maxBytes };
  }
}
