import assert from 'node:assert/strict';
import { ReadableStream, TransformStream, WritableStream } from 'node:stream/web';

import { Aggregate, iolRead, iolWrite } from 'io-lite';

import { checkHolds } from '../support/holds';
import { assertSame, copiesFromNow, slicesOf } from './world';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

async function text(reading: Promise<Aggregate | null>): Promise<string> {
  using bytes = await reading;
  return String(bytes);
}

/** A stream and what fills it. */
function source(type?: 'bytes'): {
  stream: ReadableStream<Uint8Array>;
  push: (text: string) => void;
  end: () => void;
  fail: (error: Error) => void;
} {
  let controller: { enqueue(chunk: unknown): void; close(): void; error(error: unknown): void };
  const start = (c: typeof controller): void => void (controller = c);
  const stream = new ReadableStream({ type, start } as never);
  return {
    stream,
    push: (chunk) => controller.enqueue(bytesOf(chunk)),
    end: () => controller.close(),
    fail: (error) => controller.error(error),
  };
}

describe('web streams', () => {
  checkHolds();

  for (const type of [undefined, 'bytes'] as const) {
    describe(`iolRead from ${type === undefined ? 'a stream of chunks' : 'a byte stream'}`, () => {
      it('takes at most size bytes; what is left of a chunk comes next; null at the end', async () => {
        const { stream, push, end } = source(type);
        push('abcdef');
        const copies = copiesFromNow();
        assert.equal(await text(iolRead(stream, 4)), 'abcd');
        assert.equal(copies()['streamIn'], 4);
        assert.equal(stream.locked, false);
        assert.equal(await text(iolRead(stream, 4)), 'ef');
        push('gh');
        assert.equal(await text(iolRead(stream, 4)), 'gh');
        const waiting = text(iolRead(stream, 4));
        push('ij');
        assert.equal(await waiting, 'ij');
        const last = iolRead(stream, 4);
        end();
        assert.equal(await last, null);
        assert.equal(await iolRead(stream, 4), null);
      });

      it('answers in the order of the calls', async () => {
        const { stream, push, end } = source(type);
        const reads = [1, 2, 3, 9].map((size) => text(iolRead(stream, size)));
        push('abc');
        push('defgh');
        assert.deepEqual(await Promise.all(reads), ['a', 'bc', 'def', 'gh']);
        end();
      });

      it('leaves the bytes in the stream when it is given up', async () => {
        const { stream, push, end } = source(type);
        const controller = new AbortController();
        const given = iolRead(stream, 2, { signal: controller.signal });
        const next = text(iolRead(stream, 2));
        controller.abort();
        await assert.rejects(given, { code: 'ERR_IOL_ABORTED' });
        push('ab');
        assert.equal(await next, 'ab');
        const second = new AbortController();
        const last = iolRead(stream, 2, { signal: second.signal });
        await new Promise((resolve) => setImmediate(resolve));
        second.abort();
        await assert.rejects(last, { code: 'ERR_IOL_ABORTED' });
        assert.equal(stream.locked, false);
        push('cd');
        const reader = stream.getReader();
        assert.deepEqual((await reader.read()).value, bytesOf('cd'));
        reader.releaseLock();
        end();
      });

      it('refuses a locked stream, and rejects with the stream\'s own error', async () => {
        const { stream, fail } = source(type);
        const reader = stream.getReader();
        await assert.rejects(iolRead(stream, 1), { code: 'ERR_IOL_STREAM_MODE' });
        reader.releaseLock();
        const waiting = iolRead(stream, 1);
        const reason = new Error('broken');
        fail(reason);
        await assert.rejects(waiting, (error) => error === reason);
        await assert.rejects(iolRead(stream, 1), (error) => error === reason);
      });
    });
  }

  it('iolRead refuses a chunk that is no bytes', async () => {
    const stream = new ReadableStream({ start: (controller) => controller.enqueue('text') });
    await assert.rejects(iolRead(stream as never, 1), { code: 'ERR_IOL_STREAM_MODE' });
  });

  it('iolRead reads the body of a fetched response', async () => {
    const response = new Response('x'.repeat(200_000));
    let length = 0;
    for (;;) {
      using part = await iolRead(response.body as ReadableStream<Uint8Array>, 1 << 16);
      if (part === null) break;
      length += part.byteLength;
    }
    assert.equal(length, 200_000);
  });

  it('iolWrite gives the sink copies, and settles when it has had them', async () => {
    const kept: Uint8Array[] = [];
    let release: (() => void) | undefined;
    const stream = new WritableStream<Uint8Array>({
      write(chunk) {
        kept.push(chunk);
        return kept.length === 1 ? new Promise((resolve) => (release = resolve)) : undefined;
      },
    });
    const bytes = slicesOf(3, 50_000);
    const expected = bytes.toBuffer();
    const copies = copiesFromNow();
    let isDone = false;
    const writing = iolWrite(stream, bytes).then((count) => ((isDone = true), count));
    bytes.dispose();
    assert.equal(stream.locked, false);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(isDone, false);
    release!();
    assert.equal(await writing, 150_000);
    assert.deepEqual(copies(), { copyOut: 150_000 });
    assertSame(Buffer.concat(kept), expected);
  });

  it('iolWrite keeps the order of the calls, with writes of others between them', async () => {
    let received = '';
    const stream = new WritableStream<Uint8Array>({ write: (chunk) => void (received += String(Buffer.from(chunk))) });
    const first = iolWrite(stream, 'a');
    const writer = stream.getWriter();
    const own = writer.write(bytesOf('b'));
    writer.releaseLock();
    const last = iolWrite(stream, 'c');
    await Promise.all([first, own, last, stream.close()]);
    assert.equal(received, 'abc');
    await assert.rejects(iolWrite(stream, 'd'), { code: /^ERR_(IOL_STREAM_CLOSED|INVALID_STATE)$/ });
  });

  it('iolWrite refuses a locked stream, and rejects with the stream\'s own error', async () => {
    const reason = new Error('full');
    const stream = new WritableStream({ write: () => Promise.reject(reason) });
    const writer = stream.getWriter();
    await assert.rejects(iolWrite(stream, 'x'), { code: 'ERR_IOL_STREAM_MODE' });
    writer.releaseLock();
    await assert.rejects(iolWrite(stream, 'x'), (error) => error === reason);
    await assert.rejects(iolWrite(stream, 'x'), (error) => error === reason);
    using bytes = slicesOf(2, 100_000);
    await assert.rejects(iolWrite(stream, bytes), (error) => error === reason);
  });

  it('go through a transformation, in and out', async () => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writing = iolWrite(writable, 'through');
    assert.equal(await text(iolRead(readable, 100)), 'through');
    await writing;
    await assert.rejects(iolWrite(readable as never, 'x'), { code: 'ERR_INVALID_ARG_TYPE' });
    await assert.rejects(iolRead(writable as never, 1), { code: 'ERR_INVALID_ARG_TYPE' });
  });
});
