/**
 * Drafts: memory of a pool that is filled once, and then sealed to a buffer.
 */
import { IolError } from '../errors';
import type { Kind } from '../leaks';
import { native } from '../native';
import { handleOf, type Resource } from '../resource';
import {
  byteLengthOf, illegalConstructor, invalidType, invalidValue, outOfRange, validateBytes,
  validateInteger,
} from '../validate';
import { adoptBuffer, type IolBuffer } from './buffer';
import { ByteWrites } from './byte-writes';
import { placeOf } from './bytes-like';
import { encodingCode, nodes } from './encodings';

const {
  draftBytes, draftCopyOut, draftDispose, draftFill, draftSeal, draftSealCopy, draftWrite,
  draftWriteString, detach, scratch,
} = native;

/**
 * A draft of this size or larger is filled in place; a smaller one on the heap and copied once when
 * it is sealed, because an ArrayBuffer over foreign memory costs as much as copying this many bytes.
 */
export const inPlaceBytesMin = 16 * 1024;

const draftKind: Kind = { subject: 'draft', release: draftDispose };

/** Makes the object of a native draft, which it then owns. */
export let adoptDraft: (handle: number, byteLength: number, pool: Resource) => DraftBuffer;

const makers = Symbol('makers');

/**
 * Memory of a pool that is being filled, and then sealed to an {@link IolBuffer}. Made by
 * `Pool.allocate()`.
 *
 * Every method throws `ERR_IOL_CLOSED` after `dispose()`, and `ERR_IOL_SEALED` after `seal()`.
 */
export class DraftBuffer extends ByteWrites {
  /** Length in bytes. */
  readonly byteLength: number;
  private readonly pool: Resource;
  // What bytes() gave out, if it did: on the heap for a small draft.
  private heap: ArrayBuffer | undefined;
  private heapBytes: Buffer | undefined;
  private inPlace: ArrayBuffer | undefined;
  private fills: number;
  private isSealed: boolean;
  private hasWrites: boolean;

  static {
    adoptDraft = (handle, byteLength, pool) => new DraftBuffer(makers, handle, byteLength, pool);
  }

  private constructor(caller: symbol, handle: number, byteLength: number, pool: Resource) {
    if (caller !== makers) throw illegalConstructor();
    super(draftKind, handle, true);
    this.byteLength = byteLength;
    this.pool = pool;
    this.heap = undefined;
    this.heapBytes = undefined;
    this.inPlace = undefined;
    this.fills = 0;
    this.isSealed = false;
    this.hasWrites = false;
  }

  /**
   * Copies bytes, or a string, to `at` (reason `write`). The bytes may be some of this draft's own,
   * and overlap the place that they are copied to.
   *
   * @param encoding of a string. Default `utf8`.
   * @returns the bytes written.
   * @throws {RangeError} `ERR_OUT_OF_RANGE` when they do not fit: nothing is written then.
   */
  write(data: Uint8Array | string, at = 0, encoding: BufferEncoding = 'utf8'): number {
    const handle = this.writable();
    if (typeof data !== 'string') {
      validateBytes(data, 'data', 'of type string or an instance of Uint8Array');
    }
    const code = encodingCode(encoding);
    validateInteger(at, 'at', 0, this.byteLength);
    const isText = typeof data === 'string' && code !== nodes;
    const bytes = typeof data === 'string' && !isText ? Buffer.from(data, encoding) : data;
    const byteLength =
      typeof bytes === 'string' ? Buffer.byteLength(bytes, encoding) : byteLengthOf(bytes);
    if (byteLength > this.byteLength - at) {
      throw outOfRange('data.byteLength', `<= ${this.byteLength - at}`, byteLength);
    }
    this.hasWrites = true;
    if (this.heap === undefined) {
      return typeof bytes === 'string'
        ? draftWriteString(handle, bytes, at, code)
        : draftWrite(handle, bytes, at);
    }
    if (typeof bytes === 'string') return Buffer.from(this.heap).write(bytes, at, encoding);
    new Uint8Array(this.heap).set(bytes, at);
    return byteLength;
  }

  /**
   * Repeats `value` from `from` up to `to`: a byte as a number, the bytes of a string, or an array.
   *
   * @throws {TypeError} `ERR_INVALID_ARG_VALUE` for a value of no bytes.
   */
  fill(
    value: number | string | Uint8Array,
    from?: number,
    to?: number,
    encoding: BufferEncoding = 'utf8',
  ): this {
    const handle = this.writable();
    encodingCode(encoding);
    const pattern = typeof value === 'number' ? byteOf(value) : patternOf(value, encoding);
    const first = placeOf(from, 'from', this.byteLength, 0);
    const last = placeOf(to, 'to', this.byteLength, this.byteLength);
    this.hasWrites = true;
    if (this.heap === undefined) draftFill(handle, pattern, first, last);
    else if (first < last) Buffer.from(this.heap).fill(pattern, first, last);
    return this;
  }

  /**
   * Fills the draft from `at` on with what a stream or another iterable brings, and gives the bytes
   * written. `seal()` answers `ERR_IOL_BUSY` until it has ended.
   */
  async fillFrom(source: AsyncIterable<Uint8Array | string>, at = 0): Promise<number> {
    this.writable();
    if (typeof source?.[Symbol.asyncIterator] !== 'function') {
      throw invalidType('source', 'an async iterable of Uint8Array', source);
    }
    validateInteger(at, 'at', 0, this.byteLength);
    let filled = at;
    this.fills++;
    try {
      for await (const data of source) filled += this.write(data, filled);
    } finally {
      this.fills--;
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
    const handle = this.writable();
    if (this.heap !== undefined) return this.heap;
    if (this.byteLength >= inPlaceBytesMin) {
      if (this.inPlace === undefined) {
        this.inPlace = draftBytes(handle);
        // Why: whoever fills the bytes keeps the draft, which would otherwise be collected under it.
        owners.set(this.inPlace, this);
      }
      return this.inPlace;
    }
    this.heap = new ArrayBuffer(this.byteLength);
    if (this.hasWrites) draftCopyOut(handle, this.heap);
    this.heapBytes = Buffer.from(this.heap);
    return this.heap;
  }

  /**
   * Ends the draft: its first `byteLength` bytes become immutable. What was never written is what an
   * earlier buffer left there.
   *
   * @throws {IolError} `ERR_IOL_BUSY` while `fillFrom()` runs, or when `bytes()` was transferred away;
   * the draft stays open.
   */
  seal(byteLength = this.byteLength): IolBuffer {
    const handle = this.sealable(byteLength);
    const sealed = draftSeal(handle, byteLength, this.heap);
    this.isSealed = true;
    this.end();
    // Why before the buffer is made: what leaves the nursery first need not wait for its drain.
    this.forget();
    return adoptBuffer(sealed, scratch[0]!, scratch[1]!, scratch[2]!);
  }

  /**
   * A sealed copy of what the draft has now (reason `draft`). The draft stays open, so that somebody
   * who still writes into `bytes()` hits no sealed bytes.
   */
  sealCopy(byteLength = this.byteLength): IolBuffer {
    const handle = this.sealable(byteLength);
    const sealed = draftSealCopy(handle, byteLength, this.heap, handleOf(this.pool));
    return adoptBuffer(sealed, scratch[0]!, scratch[1]!, scratch[2]!);
  }

  /** Gives the memory back unsealed. Idempotent; never throws. */
  override dispose(): void {
    super.dispose();
    this.end();
  }

  /** `DraftBuffer`. */
  get [Symbol.toStringTag](): string {
    return 'DraftBuffer';
  }

  /** A summary for logs; a draft has no bytes yet that anybody should see. */
  toJSON(): { type: string; byteLength: number; isDisposed?: true } {
    const { byteLength, isDisposed } = this;
    return { type: 'DraftBuffer', byteLength, ...(isDisposed && { isDisposed }) };
  }

  protected override get memory(): Buffer | undefined {
    return this.heapBytes;
  }

  protected override writable(): number {
    if (this.isSealed) {
      throw new IolError('ERR_IOL_SEALED', 'The draft is sealed: its bytes never change again');
    }
    return handleOf(this);
  }

  protected override noteWrite(): void {
    this.hasWrites = true;
  }

  private sealable(byteLength: number): number {
    const handle = this.writable();
    validateInteger(byteLength, 'byteLength', 0, this.byteLength);
    if (this.fills > 0) {
      throw new IolError('ERR_IOL_BUSY', 'The draft is being filled by an operation in flight');
    }
    // Why: the memory that was not copied has what an earlier buffer left there.
    // Or because whoever has it now could still change it.
    const bytes = this.heap ?? this.inPlace;
    if (bytes !== undefined && bytes.byteLength !== this.byteLength) {
      if (this.inPlace !== undefined) draftBytes(handle); // ERR_IOL_CLOSED with the window.
      throw new IolError('ERR_IOL_BUSY', 'The bytes of the draft were transferred to somebody else');
    }
    return handle;
  }

  private end(): void {
    // A store into the heap copy would reach nobody any more.
    if (this.heap !== undefined) detach(this.heap);
    this.heap = undefined;
    this.inPlace = undefined;
    this.heapBytes = undefined;
  }

  protected override inspectFields(): Record<string, unknown> {
    return { byteLength: this.byteLength };
  }
}

function byteOf(value: number): number {
  validateInteger(value, 'value', 0, 255);
  return value;
}

function patternOf(value: unknown, encoding: BufferEncoding): Uint8Array {
  if (typeof value !== 'string') {
    validateBytes(value, 'value', 'of type number or string or an instance of Uint8Array');
  }
  // An array may be of the draft's own bytes, which change while it is repeated.
  const pattern = typeof value === 'string' ? Buffer.from(value, encoding) : value.slice();
  if (pattern.length === 0) throw invalidValue('value', 'has no bytes', value);
  return pattern;
}

/** The draft of an ArrayBuffer from `bytes()`, kept alive by it. */
const owners = new WeakMap<ArrayBuffer, DraftBuffer>();
