/**
 * The one typed border to the addon. Everything crosses it as numbers: an object of the native side
 * is a handle (a small integer, 0 is none), and figures that do not fit one return value are in
 * `scratch`, valid until the next call. Arguments are checked before they get here.
 *
 * A module with natives of its own adds to the interface by declaration merging:
 * `declare module './native' { interface NativeAddon { … } }`.
 */
import { makeNativeError } from './errors';
import { loadAddon } from './load-addon';

export interface NativeAddon {
  version(): string;
  scratch: Float64Array;
  setErrorFactory(factory: typeof makeNativeError): void;
  setImmutableReporter(
    report: (address: number, generation: number, handlerWasReplaced: boolean) => void,
  ): void;

  windowConfigure(maxBytes: number): void;
  /** scratch: id (low 32 bits, high 32 bits), maxBytes, bytes committed. */
  windowStart(): void;
  /** scratch: live holds, stores healed, aggregates, drafts, committed, then times, bytes per reason. */
  processStats(): void;
  copyReasons(): string[];
  poolCreate(maxBytes: number, idleBytesMax: number, sealed: boolean): number;
  poolClose(pool: number): void;
  poolTrim(pool: number, keepBytes: number): number;
  /** scratch: see `poolFigures` in pool.ts. */
  poolStats(pool: number): void;
  setStrict(isStrict: boolean): void;
  setPageBudget(pages: number): void;
  reinstallFaultHandler(): boolean;
}

export const native = loadAddon() as NativeAddon;
native.setErrorFactory(makeNativeError);

/** The version of the library; the addon's is the same, or loading would have failed. */
export const version: string = native.version();
