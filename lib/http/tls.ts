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
import { IncidentRate, type HttpIncident } from './incidents';
import { timeoutMsMax, type TlsTimes } from './options';

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

interface Link {
  readonly fd: number;
  readonly network: Socket;
  readonly plain: Socket;
  /** Of the handshake. */
  readonly timer: NodeJS.Timeout;
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

// What it was made of: nothing that Node documents says so.
function networkOf(secure: TLSSocket): Socket {
  return (secure as unknown as { _parent: Socket })._parent;
}

// As OpenSSL says it, or the system.
function reasonOf(error: NodeJS.ErrnoException & { reason?: string }): string {
  const { reason, code, message } = error;
  return reason ?? (code !== undefined && /^E[A-Z]+$/.test(code) ? code : message);
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
  /** From now on. */
  times: TlsTimes;
  readonly #tls: Server;
  readonly #tell: ((incident: HttpIncident) => void) | undefined;
  readonly #rate = new IncidentRate();
  readonly #open = new Set<Link>();
  /** By the engine's slot, until the engine has ended it. */
  readonly #bySlot = new Map<number, Link>();
  /** During the handshake. */
  readonly #byNetwork = new WeakMap<Socket, Link>();
  #isReferenced = true;
  #tellClosed: (() => void) | undefined;

  /** `tell` is told of handshakes that fail. */
  constructor(options: HttpTlsOptions, times: TlsTimes, tell?: (incident: HttpIncident) => void) {
    this.times = times;
    this.#tell = tell;
    // Why no timeout of Node's: it cannot be changed, and every byte of a handshake begins it anew.
    this.#tls = createServer({
      ...options, ALPNProtocols: ['http/1.1', 'http/1.0'], handshakeTimeout: timeoutMsMax,
    });
    this.#tls.on('secureConnection', (secure) => this.#carry(secure));
    this.#tls.on('tlsClientError', (error, secure) => {
      const link = this.#endHandshake(networkOf(secure));
      secure.destroy();
      if (link !== undefined) this.#fail(link, reasonOf(error));
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
    if (this.#tell !== undefined) void network.remoteAddress;  // It is kept: who has left has none.
    record[networkAt] = 0;
    const options: SocketConstructorOpts & { onread: OnReadOpts } = {
      fd: record[plainAt]!, allowHalfOpen: true,
      onread: { buffer: outgoing, callback: (bytes) => this.#send(link, bytes) },
    };
    const plain = new Socket(options);
    record[plainAt] = 0;
    const timer = setTimeout(() => this.#timeOut(link), this.times.handshakeTimeoutMs).unref();
    const link: Link = { fd, network, plain, timer, secure: undefined };
    this.#open.add(link);
    this.#bySlot.set(slot, link);
    this.#byNetwork.set(network, link);
    if (!this.#isReferenced) this.#setReference(link);
    network.on('error', ignore).on('close', () => this.#forget(link));
    plain.on('error', ignore).on('end', () => link.secure?.end()).on('close', () => link.secure?.destroySoon());
    this.#tls.emit('connection', network);
  }

  /** Undefined: it has ended before. */
  #endHandshake(network: Socket): Link | undefined {
    const link = this.#byNetwork.get(network);
    if (link === undefined) return undefined;
    this.#byNetwork.delete(network);
    clearTimeout(link.timer);
    return link;
  }

  #timeOut(link: Link): void {
    this.#endHandshake(link.network);
    this.#cut(link);
    this.#fail(link, 'timeout');
  }

  #fail({ network }: Link, reason: string): void {
    this.failures++;
    if (this.#tell === undefined || network.bytesRead === 0) return;
    const missed = this.#rate.admit();
    if (missed === undefined) return;
    const { remoteAddress: client = '', remotePort: port = 0 } = network;
    this.#tell({ kind: 'handshake-failed', status: 0, reason, client, port, missed });
  }

  #carry(secure: TLSSocket): void {
    const link = this.#endHandshake(networkOf(secure));
    secure.on('error', () => secure.destroy());  // Not all of Node's own end it.
    if (link === undefined || link.plain.destroyed) {
      secure.destroy();
      return;
    }
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
    secure.setTimeout(this.times.sendTimeoutMs, () => this.#cut(link));
    if (plain.readableEnded) secure.destroySoon();
    else plain.once('end', () => secure.destroySoon());
  }

  // Why a reset: an answer that ends with its connection must not look complete.
  #cut({ fd, network, plain, secure }: Link): void {
    this.#endHandshake(network);
    if (!network.destroyed) native.httpResetAtClose(fd);
    (secure ?? network).destroy();
    plain.destroy();
  }

  #forget(link: Link): void {
    link.plain.destroy();
    this.#open.delete(link);
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
