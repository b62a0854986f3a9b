// HttpRequest.respondFile: a cached file is answered by reference, anything else not at all.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { Aggregate, FileCache, stats } from 'io-lite';
import { HttpServer, type HttpRequest } from 'io-lite/http';

describe('HttpRequest#respondFile', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'io-lite-respond-file-'));
  const file = path.join(folder, 'file.bin');
  const bytes = Buffer.alloc(30_000, 'io-lite ');
  let cache: FileCache;
  let server: HttpServer;
  let handle: (request: HttpRequest) => void;
  const fetchBytes = async (): Promise<Buffer> => {
    const reply = await fetch(`http://127.0.0.1:${server.port}/`);
    return Buffer.from(await reply.arrayBuffer());
  };
  const headFor = (length: number): Aggregate =>
    Aggregate.from(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n`);

  before(async () => {
    writeFileSync(file, bytes);
    cache = new FileCache();
    server = await HttpServer.listen({}, (request) => handle(request));
  });
  after(async () => {
    await server.close();
    cache.dispose();
    rmSync(folder, { recursive: true });
  });

  it('answers nothing until the bytes are in memory, then answers them without a copy', async () => {
    const cached = await cache.open(file);
    using head = headFor(bytes.length);
    const outcomes: boolean[] = [];
    handle = (request) => {
      outcomes.push(request.respondFile(head, cached));
      if (request.isOpen) {
        void cached.read().then((body) => {
          request.respond(head, body);
          body.dispose();
        });
      }
    };
    assert.deepEqual(await fetchBytes(), bytes);
    const { copies, liveHolds } = stats();
    const hits = cache.stats().hits;
    assert.deepEqual(await fetchBytes(), bytes);
    assert.deepEqual(outcomes, [false, true]);
    assert.equal(cache.stats().hits, hits + 1);
    const after = stats();
    const copied = Object.keys(copies).reduce(
      (sum, reason) => sum + after.copies[reason]!.bytes - copies[reason]!.bytes, 0);
    assert.ok(copied < 200, `${copied} bytes: no more than the second's Date`);
    assert.ok(after.liveHolds <= liveHolds + 2, 'the hit left no hold behind');
    cached.close();
  });

  it('sends a part of the file', async () => {
    const cached = await cache.open(file);
    (await cached.read()).dispose();
    using head = headFor(1000);
    handle = (request) => assert.equal(request.respondFile(head, cached, 12_345, 1000), true);
    assert.deepEqual(await fetchBytes(), bytes.subarray(12_345, 13_345));
    cached.close();
  });

  it('answers nothing for a file that has changed', async () => {
    const cached = await cache.open(file);
    (await cached.read()).dispose();
    using head = headFor(5);
    using other = Aggregate.from('other');
    writeFileSync(file, 'changed');
    // Whatever the kernel tells arrives with the loop; asking anew cannot be late.
    while (cached.isFresh) await new Promise(setImmediate);
    handle = (request) => {
      assert.equal(request.respondFile(head, cached), false);
      request.respond(head, other);
    };
    assert.equal(String(await fetchBytes()), 'other');
    cached.close();
  });

  it('refuses what is no file, a released one, and a second answer', async () => {
    const cached = await cache.open(file);
    (await cached.read()).dispose();
    const { byteLength } = cached;
    using head = headFor(byteLength);
    const released = await cache.open(path.join(folder, 'file.bin'));
    handle = (request) => {
      assert.throws(() => request.respondFile(head, {} as typeof cached),
        { code: 'ERR_INVALID_ARG_TYPE' });
      assert.throws(() => request.respondFile(head, cached, -1), { code: 'ERR_OUT_OF_RANGE' });
      assert.equal(request.respondFile(head, cached), true);
      assert.throws(() => request.respondFile(head, cached), { code: 'ERR_IOL_CLOSED' });
    };
    assert.equal((await fetchBytes()).length, byteLength);
    released.close();
    cached.close();
    handle = (request) => {
      assert.throws(() => request.respondFile(head, cached), { code: 'ERR_IOL_CLOSED' });
      request.refuse(503);
    };
    assert.match(String(await fetchBytes()), /503/);
  });
});
