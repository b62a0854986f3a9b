/**
 * Sealed bytes as JavaScript may see them.
 */

/**
 * Bytes that may be read, never written. A `Uint8Array` is one, not the other way round.
 *
 * At run time it is a `Uint8Array` over memory that is mapped read-only: a store through a cast
 * changes nothing that anyone else sees, is undone, and is reported as `ERR_IOL_IMMUTABLE`.
 */
export interface ReadonlyBytes extends Iterable<number> {
  readonly byteLength: number;
  readonly length: number;
  readonly [index: number]: number;
  at(index: number): number | undefined;
  includes(value: number, fromIndex?: number): boolean;
  indexOf(value: number, fromIndex?: number): number;
  lastIndexOf(value: number, fromIndex?: number): number;
  subarray(begin?: number, end?: number): ReadonlyBytes;
  /** A copy on the heap, which may be written. */
  slice(begin?: number, end?: number): Uint8Array;
  every(test: (value: number, index: number) => boolean): boolean;
  some(test: (value: number, index: number) => boolean): boolean;
  forEach(visit: (value: number, index: number) => void): void;
  reduce<T>(step: (previous: T, value: number, index: number) => T, initial: T): T;
  entries(): IterableIterator<[number, number]>;
  keys(): IterableIterator<number>;
  values(): IterableIterator<number>;
}

/**
 * The same object for functions that want a `Uint8Array` and only read it (`hash.update`,
 * `socket.write`). The one cast, with a name that can be searched for.
 */
export function unsafeUint8Array(bytes: ReadonlyBytes): Uint8Array {
  return bytes as unknown as Uint8Array;
}
