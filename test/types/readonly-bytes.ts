// Compiled, never run: what must compile, and what must not. `npm test` compiles it (part types).
/* eslint-disable @typescript-eslint/no-unsafe-call, @typescript-eslint/no-unsafe-member-access */
import { createHash } from 'node:crypto';

import {
  Aggregate, isIolError, unsafeUint8Array, Window,
  type DraftBuffer, type ErrorCode, type IolBuffer, type ReadonlyBytes,
} from 'io-lite';

export function views(aggregate: Aggregate, buffer: IolBuffer): number {
  const view: ReadonlyBytes = aggregate.view();
  for (const slice of aggregate) {
    // @ts-expect-error: a store into a slice's view
    slice[0] = 1;
  }
  // @ts-expect-error: a store into a view
  view[0] = 1;
  // @ts-expect-error: nor by an operator
  view[0]++;
  // @ts-expect-error: nor through a part of it
  view.subarray(1)[0] = 1;
  // @ts-expect-error: nor of a buffer
  buffer.view()[0] = 1;
  // @ts-expect-error: nor unsafely
  buffer.unsafeView()[0] = 1;
  // @ts-expect-error: no method that stores
  view.fill(0);
  // @ts-expect-error: no method that stores
  view.set([1]);
  // @ts-expect-error: no method that stores
  view.sort();
  // @ts-expect-error: no method that stores
  view.copyWithin(0, 1);
  // @ts-expect-error: no way to the memory around it
  view.buffer.byteLength;
  // @ts-expect-error: it is not a Uint8Array
  const array: Uint8Array = view;
  // @ts-expect-error: a function that may store cannot have it
  crypto.getRandomValues(view);
  // @ts-expect-error: nor be copied to
  aggregate.copyTo(view);
  // A copy may be written; and one cast, by name, for those who only read.
  view.slice()[0] = 1;
  createHash('sha256').update(unsafeUint8Array(view));
  const ordinary: ReadonlyBytes = new Uint8Array(3);
  return array.length + ordinary.length + view[0];
}

export function twins(draft: DraftBuffer, buffer: IolBuffer): void {
  // @ts-expect-error: a draft is no bytes yet
  Aggregate.from(draft);
  // @ts-expect-error: a buffer is filled no more
  buffer.write('x');
  // @ts-expect-error: made by from(), empty() and concat() alone
  new Aggregate(1, 2, true);
  // @ts-expect-error: a name does not change
  buffer.address = 5;
  // @ts-expect-error: nor does a length
  draft.byteLength = 5;
}

export function codes(error: unknown): string {
  if (!isIolError(error)) return '';
  const code: ErrorCode = error.code;
  // @ts-expect-error: no such code
  if (code === 'ERR_IOL_NO_SUCH_THING') return '';
  return code;
}

export async function disposal(): Promise<void> {
  await using window = await Window.create({ maxBytes: 1 << 30 });
  using pool = window.createPool({ name: 'typed' });
  using draft = pool.allocate(5);
  using buffer = draft.seal();
  using slice = buffer.slice(0, 2);
  window.on('immutable', ({ address, generation }) => address + generation);
  // @ts-expect-error: no such event
  window.on('mutable', () => {});
  void slice;
}
