/**
 * What iolRead takes bytes from that is neither a descriptor nor a stream of Node's or the web's.
 */
import type { Pool } from '../window/pool';
import type { Aggregate } from './aggregate';

/** The method that iolRead calls; its arguments are checked, `size` is at least 1. */
export const readBytes: unique symbol = Symbol('io-lite.readBytes');

/** Something of this library that iolRead takes bytes from: the body of a request. */
export interface ByteSource {
  /** @internal At most `size` bytes of what comes next, or null at the end. */
  [readBytes](
    size: number,
    options: { readonly pool?: Pool | undefined; readonly signal?: AbortSignal | undefined },
  ): Promise<Aggregate | null>;
}

export function isByteSource(value: object): value is ByteSource {
  return readBytes in value;
}
