// Compiled, never run: what of aggregates, buffers and drafts must compile, and what must not.
/* eslint-disable @typescript-eslint/no-unsafe-call */
import { Aggregate, DraftBuffer, IolBuffer, type BytesParts, type Cursor, type HeldBytes } from 'io-lite';

export function madeByNobody(): void {
  // @ts-expect-error: made by DraftBuffer.seal() alone
  new IolBuffer();
  // @ts-expect-error: made by Pool.allocate() alone
  new DraftBuffer();
}

export function lines(held: HeldBytes): void {
  for (const line of held.lines()) line.toUpperCase();
  for (const line of held.lines({ as: 'aggregate' })) line.dispose();
  // @ts-expect-error: lines are text unless aggregates are asked for
  for (const line of held.lines({ keepEnds: true })) line.dispose();
  // @ts-expect-error: no such encoding
  held.toString('klingon');
}

export function parts(aggregate: Aggregate, buffer: IolBuffer, many: BytesParts): number {
  const cursor: Cursor = aggregate.append('text', buffer, [buffer, 'x'], many).cursor();
  // @ts-expect-error: one byte is no part
  aggregate.append(5);
  // @ts-expect-error: other arrays than of bytes are none
  aggregate.append(new Uint16Array(2));
  // @ts-expect-error: a buffer is not edited
  buffer.append('x');
  const copy: IolBuffer = buffer.clone();
  // @ts-expect-error: 64 bits are a bigint
  const value: number = aggregate.readBigInt64LE(0);
  return cursor.readUInt8() + copy.byteLength + value;
}
