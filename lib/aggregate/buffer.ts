/**
 * Buffers: immutable bytes in one piece.
 */
import type { Kind } from '../leaks';
import { native } from '../native';
import { handleOf } from '../resource';
import { illegalConstructor } from '../validate';
import type { ReadonlyBytes } from './bytes';
import { HeldBytes } from './held-bytes';
import { viewAt } from './slice-views';

const { aggregateClone, aggregateDispose } = native;

const bufferKind: Kind = { subject: 'buffer', release: aggregateDispose };

/** Makes the object of a native aggregate of one slice, which it then owns. */
export let adoptBuffer: (
  handle: number,
  byteLength: number,
  address: number,
  generation: number,
) => IolBuffer;

const makers = Symbol('makers');

/** Immutable bytes in the window: one allocation, sealed. Made by `DraftBuffer.seal()`. */
export class IolBuffer extends HeldBytes {
  /** Where the bytes are: the same number in every process. */
  readonly address: number;
  /** Counts the reuses of the storage: with `address` it names this content for ever. */
  readonly generation: number;
  /** Length in bytes. */
  readonly byteLength: number;

  static {
    adoptBuffer = (handle, byteLength, address, generation) =>
      new IolBuffer(makers, handle, byteLength, address, generation);
  }

  private constructor(
    caller: symbol,
    handle: number,
    byteLength: number,
    address: number,
    generation: number,
  ) {
    if (caller !== makers) throw illegalConstructor();
    super(bufferKind, handle, true);
    this.byteLength = byteLength;
    this.address = address;
    this.generation = generation;
  }

  /** The bytes, where they lie. See {@link HeldBytes.view}. */
  override view(): ReadonlyBytes {
    return viewAt(this, 0, false);
  }

  /**
   * The same through one ArrayBuffer for the whole segment. Faster for very many buffers; but after
   * the release such a view shows whatever the memory is used for next, and its `.buffer` has the
   * bytes of everybody in the segment.
   */
  unsafeView(): ReadonlyBytes {
    return viewAt(this, 0, true);
  }

  /** Another one for the same bytes; nothing is copied. */
  override clone(): IolBuffer {
    const handle = handleOf(this);
    return adoptBuffer(aggregateClone(handle), this.byteLength, this.address, this.generation);
  }

  /** `IolBuffer`. */
  override get [Symbol.toStringTag](): string {
    return 'IolBuffer';
  }

  protected override inspectFields(): Record<string, unknown> {
    const { byteLength, bytes } = super.inspectFields();
    return { byteLength, address: this.address, generation: this.generation, bytes };
  }
}
