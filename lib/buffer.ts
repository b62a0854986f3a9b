/**
 * Buffers: a draft is filled once; sealed, its bytes never change again.
 */
import { adoptAggregate, bufferKind, HeldBytes, validateRange, viewOfBuffer } from './aggregate';
import type { Aggregate } from './aggregate';
import type { ReadonlyBytes } from './bytes';
import { IolError } from './errors';
import type { Kind } from './leaks';
import { native } from './native';
import { handleOf, Resource } from './resource';
import { byteLengthOf, invalidType, outOfRange, validateBytes, validateInteger } from './validate';

const { draftDispose, draftSeal, draftWrite, scratch } = native;

/**
 * A draft of this size or larger is filled in place; a smaller one on the heap and copied once when
 * it is sealed, because an ArrayBuffer over foreign memory costs as much as copying this many bytes.
 */
export const inPlaceBytesMin = 16 * 1024;

const draftKind: Kind = {
  subject: 'draft',
  release: draftDispose,
};

/** Immutable bytes in the window: one allocation, sealed. */
export class IolBuffer extends HeldBytes {
  /** Where the bytes are: the same number in every process. */
  readonly address: number;
  /** Counts the reuses of the storage: with `address` it names this content for ever. */
  readonly generation: number;
  readonly byteLength: number;

  /** @internal */
  constructor(handle: number, byteLength: number, address: number, generation: number) {
    super(bufferKind, handle, true);
    this.byteLength = byteLength;
    this.address = address;
    this.generation = generation;
  }

  /**
   * The bytes, where they lie. The view has length 0 once nobody here holds anything in the memory
   * around it: it is for use while this is open.
   */
  view(): ReadonlyBytes {
    return viewOfBuffer(handleOf(this), false);
  }

  /**
   * The same through one ArrayBuffer for the whole segment. Faster for very many buffers; but after
   * the release such a view shows whatever the memory is used for next, and its `.buffer` has the
   * bytes of everybody in the segment.
   */
  unsafeView(): ReadonlyBytes {
    return viewOfBuffer(handleOf(this), true);
  }

  /** Bytes `[from, to)` as an aggregate; nothing is copied. */
  slice(from = 0, to = this.byteLength): Aggregate {
    const handle = handleOf(this);
    validateRange(from, to, this.byteLength);
    return adoptAggregate(native.aggregateSlice(handle, from, to), to - from);
  }

  protected override inspectFields(): Record<string, unknown> {
    const { address, generation, byteLength } = this;
    return { address, generation, byteLength };
  }
}

/** Memory of a pool that is being filled, and then sealed to an {@link IolBuffer}. */
export class DraftBuffer extends Resource {
  readonly byteLength: number;
  readonly #pool: Resource;
  #heap: ArrayBuffer | undefined;
  #inPlace: ArrayBuffer | undefined;
  #fills = 0;
  #isSealed = false;
  #hasWrites = false;

  /** @internal */
  constructor(handle: number, byteLength: number, pool: Resource) {
    super(draftKind, handle, true);
    this.byteLength = byteLength;
    this.#pool = pool;
  }

  /**
   * Copies bytes, or a string as UTF-8, to `at` (reason `write`).
   *
   * @returns the bytes written.
   * @throws {RangeError} `ERR_OUT_OF_RANGE` when they do not fit: nothing is written then.
   */
  write(data: Uint8Array | string, at = 0): number {
    const handle = this.#open();
    if (typeof data !== 'string') {
      validateBytes(data, 'data', 'of type string or an instance of Uint8Array');
    }
    validateInteger(at, 'at', 0, this.byteLength);
    const bytes = typeof data === 'string' ? Buffer.from(data, 'utf8') : data;
    const byteLength = byteLengthOf(bytes);
    if (byteLength > this.byteLength - at) {
      throw outOfRange('data.byteLength', `<= ${this.byteLength - at}`, byteLength);
    }
    this.#hasWrites = true;
    if (this.#heap === undefined) return draftWrite(handle, bytes, at);
    new Uint8Array(this.#heap).set(bytes, at);
    return byteLength;
  }

  /**
   * Fills the draft from `at` on with what a stream or another iterable brings, and gives the bytes
   * written. `seal()` answers `ERR_IOL_BUSY` until it has ended.
   */
  async fill(source: AsyncIterable<Uint8Array | string>, at = 0): Promise<number> {
    this.#open();
    if (typeof source?.[Symbol.asyncIterator] !== 'function') {
      throw invalidType('source', 'an async iterable of Uint8Array', source);
    }
    validateInteger(at, 'at', 0, this.byteLength);
    let filled = at;
    this.#fills++;
    try {
      for await (const data of source) filled += this.write(data, filled);
    } finally {
      this.#fills--;
    }
    return filled - at;
  }

  /**
   * An ArrayBuffer exactly as large as the draft, the same at each call: whatever is stored in it is
   * sealed later. `seal()` and `dispose()` detach it.
   *
   * Give it to no asynchronous writer that may still write when the draft is sealed (`fs.read`,
   * `zlib`); if you must, use {@link sealCopy}.
   */
  bytes(): ArrayBuffer {
    const handle = this.#open();
    if (this.#heap !== undefined) return this.#heap;
    if (this.byteLength >= inPlaceBytesMin) {
      if (this.#inPlace === undefined) {
        this.#inPlace = native.draftBytes(handle);
        // Why: whoever fills the bytes keeps the draft, which would otherwise be collected under it.
        owners.set(this.#inPlace, this);
      }
      return this.#inPlace;
    }
    this.#heap = new ArrayBuffer(this.byteLength);
    if (this.#hasWrites) native.draftCopyOut(handle, this.#heap);
    return this.#heap;
  }

  /**
   * Ends the draft: its first `byteLength` bytes become immutable. What was never written is what an
   * earlier buffer left there.
   *
   * @throws {IolError} `ERR_IOL_BUSY` while `fill()` runs; the draft stays open. `ERR_IOL_SEALED` from
   * this and every other method when it was sealed before.
   */
  seal(byteLength = this.byteLength): IolBuffer {
    const handle = this.#sealable(byteLength);
    const sealed = draftSeal(handle, byteLength, this.#heap);
    const buffer = new IolBuffer(sealed, scratch[0]!, scratch[1]!, scratch[2]!);
    this.#isSealed = true;
    this.#end();
    this.forget();
    return buffer;
  }

  /**
   * A sealed copy of what the draft has now (reason `draft`). The draft stays open, so that somebody
   * who still writes into `bytes()` hits no sealed bytes.
   */
  sealCopy(byteLength = this.byteLength): IolBuffer {
    const handle = this.#sealable(byteLength);
    const sealed = native.draftSealCopy(handle, byteLength, this.#heap, handleOf(this.#pool));
    return new IolBuffer(sealed, scratch[0]!, scratch[1]!, scratch[2]!);
  }

  /** Gives the memory back unsealed. */
  override dispose(): void {
    super.dispose();
    this.#end();
  }

  #sealable(byteLength: number): number {
    const handle = this.#open();
    validateInteger(byteLength, 'byteLength', 0, this.byteLength);
    if (this.#fills > 0) {
      throw new IolError('ERR_IOL_BUSY', 'The draft is being filled by an operation in flight');
    }
    // Why: the memory that was not copied has what an earlier buffer left there.
    // Or because whoever has it now could still change it.
    const bytes = this.#heap ?? this.#inPlace;
    if (bytes !== undefined && bytes.byteLength !== this.byteLength) {
      if (this.#inPlace !== undefined) native.draftBytes(handle); // ERR_IOL_CLOSED with the window.
      throw new IolError('ERR_IOL_BUSY', 'The bytes of the draft were transferred to somebody else');
    }
    return handle;
  }

  #open(): number {
    if (this.#isSealed) {
      throw new IolError('ERR_IOL_SEALED', 'The draft is sealed: its bytes never change again');
    }
    return handleOf(this);
  }

  #end(): void {
    // A store into the heap copy would reach nobody any more.
    if (this.#heap !== undefined) native.detach(this.#heap);
    this.#heap = undefined;
    this.#inPlace = undefined;
  }

  protected override inspectFields(): Record<string, unknown> {
    return { byteLength: this.byteLength };
  }
}

/** The draft of an ArrayBuffer from `bytes()`, kept alive by it. */
const owners = new WeakMap<ArrayBuffer, DraftBuffer>();
