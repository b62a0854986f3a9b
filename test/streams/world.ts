// Streams to try the verbs on, and what they must be left as.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

import { Aggregate, stats, Window } from 'io-lite';

/** Both ends of a TCP connection; neither is read until somebody reads. */
export async function socketPair(): Promise<{ near: Socket; far: Socket; close: () => Promise<void> }> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const near = connect({ port: portOf(server), host: '127.0.0.1' });
  const [[far]] = (await Promise.all([once(server, 'connection'), once(near, 'connect')])) as [[Socket], unknown];
  const closed = Promise.all([near, far].map((end) => new Promise((done) => end.on('close', done))));
  const close = async (): Promise<void> => {
    near.destroy();
    far.destroy();
    server.close();
    await closed;
  };
  return { near, far, close };
}

export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

/** How many listeners of each event a stream has. */
export function listenersOf(stream: NodeJS.EventEmitter): Record<string, number> {
  return Object.fromEntries(
    stream.eventNames().map((name) => [String(name), stream.listenerCount(name)]),
  );
}

/** Bytes that tell their place: a different 32-bit number at each four of them. */
export function countingBytes(byteLength: number): Buffer {
  const bytes = Buffer.alloc(byteLength);
  for (let i = 0; i + 4 <= byteLength; i += 4) bytes.writeUInt32BE(i, i);
  return bytes;
}

/** An aggregate of `count` slices of `byteLength` bytes each, no two of them in one buffer. */
export function slicesOf(count: number, byteLength: number): Aggregate {
  const all = countingBytes(count * byteLength);
  const pool = Window.default().defaultPool;
  const bytes = Aggregate.empty();
  for (let i = 0; i < count; i++) {
    const draft = pool.allocate(byteLength);
    draft.write(all.subarray(i * byteLength, (i + 1) * byteLength));
    using buffer = draft.seal();
    bytes.append(buffer);
  }
  return bytes;
}

/** Bytes copied by reason since this was called; a reason that nothing was copied for is left out. */
export function copiesFromNow(): () => Record<string, number> {
  const before = stats().copies;
  return () =>
    Object.fromEntries(
      Object.entries(stats().copies)
        .map(([reason, { bytes }]) => [reason, bytes - before[reason]!.bytes] as const)
        .filter(([, bytes]) => bytes > 0),
    );
}

export async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export function assertSame(actual: Uint8Array, expected: Uint8Array): void {
  assert.equal(actual.length, expected.length);
  assert.ok(Buffer.compare(actual, expected) === 0, 'the same bytes');
}
