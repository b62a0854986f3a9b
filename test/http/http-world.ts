// What the tests of the HTTP server share: a raw client, and a server that ends with its test.
import assert from 'node:assert/strict';
import net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

import { Aggregate } from 'io-lite';
import { HttpServer, type HttpRequest, type HttpServerOptions } from 'io-lite/http';

import { checkHolds } from '../support/holds';

export const get = (target: string, fields = ''): string =>
  `GET ${target} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;

export const headOf = (byteLength: number, status = '200 OK'): Aggregate =>
  Aggregate.from(`HTTP/1.1 ${status}\r\nContent-Length: ${byteLength}\r\n`);

/** Answers with a text; nothing of it is kept. */
export function answer(request: HttpRequest, text: string, options?: { close?: boolean }): void {
  using head = headOf(Buffer.byteLength(text));
  using body = Aggregate.from(text);
  request.respond(head, body, options);
}

/** A raw client: what was received is in `text`, as latin1. */
export class Peer {
  text = '';
  isClosed = false;
  readonly socket: net.Socket;
  #wake = (): void => {};

  constructor(port: number) {
    this.socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.socket.setEncoding('latin1');
    this.socket.on('data', (chunk: string) => {
      this.text += chunk;
      this.#wake();
    });
    const ended = (): void => {
      this.isClosed = true;
      this.#wake();
    };
    this.socket.on('end', ended).on('close', ended).on('error', ended);
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      assert.ok(!this.isClosed, `the server closed after ${JSON.stringify(this.text.slice(-200))}`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  async untilClosed(): Promise<void> {
    while (!this.isClosed) await new Promise<void>((resolve) => (this.#wake = resolve));
  }
}

export async function settled(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(1);  // The watchdog is the test's own timeout.
}

export const bodiesOf = (text: string): string[] =>
  text.split(/HTTP\/1\.1 [^]*?\r\n\r\n/).slice(1);

/** The server of one test, and its clients. */
export interface World {
  server: HttpServer;
  connect(): Peer;
  listen(onRequest: (request: HttpRequest) => void, options?: HttpServerOptions): Promise<void>;
}

/** Call inside a `describe`: after each test clients and server end, and nothing is held. */
export function httpWorld(): World {
  const peers: Peer[] = [];
  let server: HttpServer | undefined;
  const world: World = {
    get server() {
      return server!;
    },
    connect: () => {
      const peer = new Peer(server!.port);
      peers.push(peer);
      return peer;
    },
    listen: async (onRequest, options = {}) => {
      server = await HttpServer.listen(options, onRequest);
    },
  };
  // Before checkHolds(), whose hook must run after this one.
  afterEach(async () => {
    for (const peer of peers.splice(0)) peer.socket.destroy();
    if (server === undefined) return;
    server.destroy();
    await server.close();
    assert.equal(server.stats().connectionsOpen, 0);
    server = undefined;
  });
  checkHolds();
  return world;
}
