// HttpRequest: every method in every state, and answers in parts.
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';

import { Aggregate, IolError } from 'io-lite';
import type { HttpRequest, HttpServerOptions } from 'io-lite/http';

import { answer, bodiesOf, get, headOf, httpWorld, settled, type Peer } from './http-world';

describe('HttpRequest', () => {
  const world = httpWorld();
  const ask = async (
    onRequest: (request: HttpRequest) => void, options?: HttpServerOptions,
  ): Promise<{ request: HttpRequest; peer: Peer }> => {
    let request: HttpRequest | undefined;
    await world.listen((each) => {
      request = each;
      onRequest(each);
    }, options);
    const peer = world.connect();
    peer.socket.write(get('/'));
    await settled(() => request !== undefined);
    return { request: request!, peer };
  };
  const closed = { name: 'IolError', code: 'ERR_IOL_CLOSED' };

  it('is answered once', async () => {
    const { request } = await ask((each) => answer(each, 'a'));
    using head = headOf(0);
    assert.throws(() => request.respond(head), closed);
    assert.throws(() => request.refuse(500), closed);
    assert.throws(() => request.start(head, 0), closed);
    assert.throws(() => request.end(), closed);
    assert.throws(() => request.header('host'), closed);
    await assert.rejects(request.write(head), closed);
    request.abort();  // Nothing is open that could be cut.
    assert.equal(request.isOpen, false);
  });

  it('refuses wrong arguments and stays open', async () => {
    const { request, peer } = await ask(() => {});
    const released = headOf(0);
    released.dispose();
    using head = headOf(2);
    const type = { code: 'ERR_INVALID_ARG_TYPE' };
    const range = { code: 'ERR_OUT_OF_RANGE' };
    assert.throws(() => request.respond('text' as never), type);
    assert.throws(() => request.respond(head, 'text' as never), type);
    assert.throws(() => request.respond(released), closed);
    assert.throws(() => request.respond(head, released), closed);
    assert.throws(() => request.start(head, -1), range);
    assert.throws(() => request.start(released, 1), closed);
    assert.throws(() => request.refuse(200), range);
    assert.throws(() => request.header(1 as never), type);
    assert.throws(() => request.end(), closed);
    answer(request, 'ok');
    await peer.until(() => peer.text.endsWith('ok'));
  });

  it('is a no-op to answer when the client has left', async () => {
    const { request, peer } = await ask(() => {});
    peer.socket.resetAndDestroy();
    await settled(() => !request.isOpen);
    answer(request, 'nobody');
    request.refuse(503);
    using head = headOf(1);
    request.start(head, 1);
    request.end();
    request.abort();
    await assert.rejects(request.write(head), { name: 'IolError', code: 'ERR_IOL_ABORTED' });
    assert.equal(world.server.stats().clientsLost, 1);
  });

  it('can be refused without any memory', async () => {
    const { peer } = await ask((request) => request.refuse(503));
    await peer.until(() => peer.text.endsWith('503 Service Unavailable\n'));
    peer.socket.write(get('/again'));
    await peer.until(() => peer.text.split('503 Service Unavailable\n').length === 3);
  });

  it('can be answered in parts, which wait for the client', async () => {
    const part = Buffer.alloc(100_000, 'p');
    const { request, peer } = await ask(() => {}, { sendBufferBytes: 32 << 10 });
    peer.socket.pause();
    using head = headOf(20 * part.length);
    request.start(head, 20 * part.length);
    let written = 0;
    const writing = (async () => {
      for (; written < 20; written++) {
        using bytes = Aggregate.from(part);
        await request.write(bytes);
      }
      request.end();
    })();
    await delay(20);
    assert.ok(written < 20, 'a client that does not read holds the writer up');
    peer.socket.resume();
    await writing;
    await peer.until(() => bodiesOf(peer.text)[0]?.length === 20 * part.length);
    peer.socket.write(get('/next'));
    await settled(() => world.server.stats().requests === 2);
  });

  it('checks the length of an answer in parts', async () => {
    const { request, peer } = await ask(() => {});
    using head = headOf(4);
    using five = Aggregate.from('12345');
    using three = Aggregate.from('123');
    request.start(head, 4);
    await assert.rejects(request.write(five), { code: 'ERR_OUT_OF_RANGE' });
    await request.write(three);
    await assert.rejects(request.write(three), { code: 'ERR_OUT_OF_RANGE' });
    request.end();  // Too short: cut, not kept alive.
    await peer.untilClosed();
    assert.ok(peer.text.endsWith('123'));
  });

  it('rejects writes that wait when the client leaves', async () => {
    const { request, peer } = await ask(() => {}, { sendBufferBytes: 16 << 10 });
    peer.socket.pause();
    using head = headOf(64 << 20);
    using part = Aggregate.from(Buffer.alloc(16 << 20));
    request.start(head, 64 << 20);
    const waiting = request.write(part);
    setImmediate(() => peer.socket.resetAndDestroy());
    await assert.rejects(waiting, (error) => error instanceof IolError && error.code === 'ERR_IOL_ABORTED');
    assert.equal(request.isOpen, false);
  });

  it('can be aborted', async () => {
    const { request, peer } = await ask(() => {});
    request.abort();
    assert.equal(request.isOpen, false);
    await peer.untilClosed();
    assert.equal(peer.text, '');
  });
});
