/**
 * HTTPS for lib/http.ts: Node's TLS between the network and the engine, for which a secure connection
 * is a socket as any other.
 *
 *   client --TCP-- network, TLSSocket --- plain --a pair of sockets-- the engine
 *
 * The engine accepts, keeps limits and time, and says when a connection has ended and how. Here bytes
 * are carried, with the back-pressure of Node's streams in both directions.
 */
import { Socket, type OnReadOpts, type SocketConstructorOpts } from 'node:net';
import {
  createSecureContext, createServer, type SecureContextOptions, type Server, type TLSSocket,
  type TlsOptions,
} from 'node:tls';

import { native } from '../native';
import { invalidValue, validateObject } from '../validate';

declare module '../native' {
  interface NativeAddon {
    /** Of bytes that were carried: three copies (reason `tls`). */
    httpCountTls(this: void, bytes: number): void;
    /** What closes this socket will cut it. */
    httpResetAtClose(this: void, fd: number): void;
  }
}

/** Key and certificate as `tls.createSecureContext` takes them, and `SNICallback` of `tls.createServer`. */
export type HttpTlsOptions = SecureContextOptions & Pick<TlsOptions, 'SNICallback'>;

/** How long things may take, in ms. */
interface Times {
  handshakeTimeoutMs: number;
  sendTimeoutMs: number;
}

interface Link {
  readonly fd: number;
  readonly network: Socket;
  readonly plain: Socket;
  /** Once the handshake is done. */
  secure: TLSSocket | undefined;
}

// Where the descriptors are in the record of a server; see HttpBinding.
const networkAt = 5;
const plainAt = 6;

// What engines have sent is read into it, for all connections: the cipher takes a write at once, and
// there is none while another one waits. Buffers of their own would be half of the cost.
const outgoing = Buffer.allocUnsafeSlow(64 << 10);

const ignore = (): void => undefined;

const countChunk = (chunk: Buffer): void => native.httpCountTls(chunk.length);

// As net.Socket and tls.TLSSocket both have it.
function descriptorOf(socket: TLSSocket): number {
  return (socket as unknown as { _handle: { fd: number } | null })._handle?.fd ?? -1;
}

/** @throws what Node says of a key or certificate that it cannot use. */
export function validateTls(options: unknown, name: string): asserts options is HttpTlsOptions {
  validateObject(options, name);
  const context: HttpTlsOptions = options;
  const { cert, key, pfx } = context;
  if (pfx === undefined && (cert === undefined || key === undefined)) {
    throw invalidValue(name, 'must have key and cert, or pfx', options);
  }
  createSecureContext(context);
}

/** The TLS side of one server. */
export class TlsCarrier {
  /** Handshakes that did not succeed. */
  failures = 0;
  sendTimeoutMs: number;
  readonly #tls: Server;
  readonly #open = new Set<Link>();
  /** By the engine's slot, until the engine has ended it. */
  readonly #bySlot = new Map<number, Link>();
  /** During the handshake. */
  readonly #byDescriptor = new Map<number, Link>();
  #isReferenced = true;
  #tellClosed: (() => void) | undefined;

  constructor(options: HttpTlsOptions, { handshakeTimeoutMs, sendTimeoutMs }: Times) {
    this.sendTimeoutMs = sendTimeoutMs;
    this.#tls = createServer({
      ...options, ALPNProtocols: ['http/1.1', 'http/1.0'], handshakeTimeout: handshakeTimeoutMs,
    });
    this.#tls.on('secureConnection', (secure) => this.#carry(secure));
    this.#tls.on('tlsClientError', (_error, secure) => {
      this.failures++;
      secure.destroy();
    });
  }

  /** For handshakes from now on. */
  setContext(options: HttpTlsOptions): void {
    this.#tls.setSecureContext(options);
  }

  /** Takes the descriptors in `record` over. */
  accept(slot: number, record: Uint32Array): void {
    const fd = record[networkAt]!;
    const network = new Socket({ fd });  // Who ends within the handshake has ended.
    record[networkAt] = 0;
    const options: SocketConstructorOpts & { onread: OnReadOpts } = {
      fd: record[plainAt]!, allowHalfOpen: true,
      onread: { buffer: outgoing, callback: (bytes) => this.#send(link, bytes) },
    };
    const plain = new Socket(options);
    record[plainAt] = 0;
    const link: Link = { fd, network, plain, secure: undefined };
    this.#open.add(link);
    this.#bySlot.set(slot, link);
    this.#byDescriptor.set(fd, link);
    if (!this.#isReferenced) this.#setReference(link);
    network.on('error', ignore).on('close', () => this.#forget(link));
    plain.on('error', ignore).on('end', () => link.secure?.end()).on('close', () => link.secure?.destroySoon());
    this.#tls.emit('connection', network);
  }

  #carry(secure: TLSSocket): void {
    const link = this.#byDescriptor.get(descriptorOf(secure));
    secure.on('error', () => secure.destroy());  // Not all of Node's own end it.
    if (link === undefined || link.plain.destroyed) {
      secure.destroy();
      return;
    }
    this.#byDescriptor.delete(link.fd);
    link.secure = secure;
    secure.allowHalfOpen = true;
    secure.disableRenegotiation();
    secure.on('data', countChunk).pipe(link.plain);
  }

  // False: reads no more until this is written.
  #send({ plain, secure }: Link, bytes: number): boolean {
    native.httpCountTls(bytes);
    secure?.write(outgoing.subarray(0, bytes), () => plain.resume());
    return false;
  }

  /** The engine has ended a connection: what is on its way still leaves, unless it was cut. */
  end(slot: number, isCut: boolean): void {
    const link = this.#bySlot.get(slot);
    if (link === undefined) return;
    this.#bySlot.delete(slot);
    const { plain, secure } = link;
    if (isCut || secure === undefined) {
      this.#cut(link);
      return;
    }
    secure.setTimeout(this.sendTimeoutMs, () => this.#cut(link));
    if (plain.readableEnded) secure.destroySoon();
    else plain.once('end', () => secure.destroySoon());
  }

  // Why a reset: an answer that ends with its connection must not look complete.
  #cut({ fd, network, plain, secure }: Link): void {
    if (!network.destroyed) native.httpResetAtClose(fd);
    (secure ?? network).destroy();
    plain.destroy();
  }

  #forget(link: Link): void {
    link.plain.destroy();
    this.#open.delete(link);
    // The number may be another connection's by now.
    if (this.#byDescriptor.get(link.fd) === link) this.#byDescriptor.delete(link.fd);
    if (this.#open.size === 0) this.#tellClosed?.();
  }

  setReferenced(isReferenced: boolean): void {
    this.#isReferenced = isReferenced;
    for (const link of this.#open) this.#setReference(link);
  }

  #setReference({ network, plain }: Link): void {
    for (const socket of [network, plain]) {
      if (this.#isReferenced) socket.ref();
      else socket.unref();
    }
  }

  destroy(): void {
    for (const link of [...this.#open]) this.#cut(link);
  }

  /** The last socket has closed. */
  async closed(): Promise<void> {
    if (this.#open.size === 0) return;
    await new Promise<void>((resolve) => (this.#tellClosed = resolve));
  }
}
