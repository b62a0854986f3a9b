/**
 * The library's figures, so that "zero-copy" and "nothing leaked" are numbers.
 */
import { derivedStats, type DerivedStats } from '../aggregate/derived';
import { leakCount } from '../leaks';
import { native } from '../native';
import { openPools, type PoolStats } from './pool';
import { Window } from './window';

/** How often payload was copied for one reason, and how much of it. */
export interface CopyCount {
  readonly times: number;
  readonly bytes: number;
}

/**
 * What edits of and look-ups in aggregates have taken, of which each is O(log n) `nodes` and `entries`
 * for n slices. An aggregate of one slice has no tree, and takes none.
 */
export interface StepCount {
  /** Nodes of trees that were visited or made. */
  readonly nodes: number;
  /** Slices and nodes that were moved within or between nodes. */
  readonly entries: number;
  /** Slices and nodes that were dropped: at most as many as were ever added. */
  readonly released: number;
}

/** The answer of {@link stats}. */
export interface Stats {
  /** Payload moved in user space by the whole process, by reason. */
  readonly copies: Readonly<Record<string, CopyCount>>;
  /** Pools of this thread. */
  readonly pools: readonly PoolStats[];
  /** Claims of this thread on buffers; 0 when everything was released. */
  readonly liveHolds: number;
  /** Handles of aggregates and buffers, and of drafts, of this thread. */
  readonly aggregates: number;
  readonly drafts: number;
  /** Handles of {@link MappedBytes} of this thread. */
  readonly mappings: number;
  /** What edits of aggregates have cost on this thread since it began. */
  readonly steps: StepCount;
  /** Stores into sealed bytes that were undone, in the whole process. */
  readonly storesHealed: number;
  /** Resources of this thread that were collected unreleased. */
  readonly leaks: number;
  /** Values computed from bytes, of this thread. */
  readonly derived: DerivedStats;
  readonly windowBytes: number;
  readonly windowBytesMax: number;
}

const reasons = native.copyReasons();

/** The figures as they are now. */
export function stats(): Stats {
  const { bytesCommitted, maxBytes } = Window.default().stats();
  const pools: PoolStats[] = [];
  for (const reference of openPools) {
    const pool = reference.deref();
    if (pool === undefined || pool.isDisposed) openPools.delete(reference);
    else pools.push(pool.stats());
  }
  native.processStats();
  const [
    liveHolds = 0, storesHealed = 0, aggregates = 0, drafts = 0, mappings = 0, nodes = 0, entries = 0,
    released = 0, ...counts
  ] = native.scratch;
  const copies = Object.fromEntries(
    reasons.map((reason, i) => [reason, { times: counts[2 * i]!, bytes: counts[2 * i + 1]! }]),
  );
  return {
    copies,
    pools,
    liveHolds,
    aggregates,
    drafts,
    mappings,
    steps: { nodes, entries, released },
    storesHealed,
    leaks: leakCount(),
    derived: derivedStats(),
    windowBytes: bytesCommitted,
    windowBytesMax: maxBytes,
  };
}
