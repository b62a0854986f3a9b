// Two clients: node:http for whole answers, and a plain socket for what no good client sends.
import http from 'node:http';
import net from 'node:net';

import { until, type Server } from './flash-lite';

export interface Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: Buffer;
}

export interface Ask {
  method?: string;
  headers?: http.OutgoingHttpHeaders;
  agent?: http.Agent;
  body?: string;
}

export function get(server: Server, target: string, ask: Ask = {}): Promise<Answer> {
  const { method = 'GET', headers = {}, agent = false, body } = ask;
  return new Promise((resolve, reject) => {
    const options = { port: server.port, host: '127.0.0.1', path: target, method, headers, agent };
    const request = http.request(options, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        const { statusCode = 0, headers: received } = response;
        resolve({ status: statusCode, headers: received, body: Buffer.concat(parts) });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** Only what a test of counters needs to know. */
export interface Status {
  connections: number;
  requests: number;
  reloads: number;
  retiring: number;
  http: { repeated: number };
  resources: { entries: number };
  cache: { entries: number; bytes: number; hits: number; misses: number };
  copies: Record<string, { times: number; bytes: number }>;
  memory: { pools: { name: string; bytesInUse: number }[]; liveHolds: number };
}

export async function getStatus(server: Server): Promise<Status> {
  const answer = await get(server, '/.flash-lite/status');
  if (answer.status !== 200) throw new Error(`the status page answers ${answer.status}`);
  return JSON.parse(answer.body.toString()) as Status;
}

/** A socket whose reading can be stopped. */
export class RawClient {
  #parts: Buffer[] = [];
  byteLength = 0;
  isClosed = false;
  readonly socket: net.Socket;

  constructor(server: Server) {
    this.socket = net.connect(server.port, '127.0.0.1');
    this.socket.on('data', (part: Buffer) => {
      this.#parts.push(part);
      this.byteLength += part.length;
    });
    this.socket.on('error', () => undefined);  // A reset is a way of closing.
    this.socket.on('close', () => (this.isClosed = true));
  }

  send(text: string): this {
    this.socket.write(text, 'latin1');
    return this;
  }

  get received(): Buffer {
    this.#parts = [Buffer.concat(this.#parts)];
    return this.#parts[0] as Buffer;
  }

  /** What follows the head, and the head as text; undefined until the head is complete. */
  split(): { head: string; body: Buffer } | undefined {
    const { received } = this;
    const end = received.indexOf('\r\n\r\n');
    if (end < 0) return undefined;
    return { head: received.toString('latin1', 0, end), body: received.subarray(end + 4) };
  }

  async closed(): Promise<Buffer> {
    await until('the connection to close', () => this.isClosed);
    return this.received;
  }

  destroy(): void {
    this.socket.destroy();
  }
}

/** Sends one request and returns everything until the server closes the connection. */
export async function exchange(server: Server, text: string): Promise<string> {
  const bytes = await new RawClient(server).send(text).closed();
  return bytes.toString('latin1');
}

/** One GET by its literal target; the connection is closed afterwards. */
export function getRaw(server: Server, target: string): Promise<string> {
  return exchange(server, `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
}

export function statusOf(text: string): number {
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1]);
}
