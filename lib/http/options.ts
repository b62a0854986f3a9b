/// <reference types="node" preserve="true" />
/**
 * What an HttpServer can be told: where it listens, and the bounds of what a client may ask for.
 */
import { lookup } from 'node:dns/promises';
import { rmSync, statSync } from 'node:fs';
import { isIP } from 'node:net';

import { invalidValue, validateBoolean, validateInteger, validateString } from '../validate';
import type { Pool } from '../window/pool';
import type { HttpIncident } from './incidents';
import type { HttpTlsOptions } from './tls';

/** Where to listen: at `host` and `port`, or at `path`, or with `fd`; and {@link HttpServerLimits}. */
export interface HttpServerOptions extends HttpServerLimits {
  /** An address, or a name that is looked up. Default `127.0.0.1`. */
  host?: string;
  /** 0, the default: any free one, see {@link HttpServer.port}. */
  port?: number;
  /**
   * A Unix socket of the file system, in the place of `host`. A file that a dead server has left there
   * is taken over; it goes when the server has ended.
   */
  path?: string;
  /** Who may connect to `path`: permission bits, of which it needs those to write. Default: by umask. */
  pathMode?: number;
  /**
   * A stream socket that listens already, in the place of `host`: given by systemd, or by a parent. The
   * server owns the descriptor from now on.
   */
  fd?: number;
  /** Connections that wait to be accepted. Default 511. */
  backlog?: number;
  /** With an IPv6 host: leave IPv4 to others. Default false. */
  ipv6Only?: boolean;
  /** Where requests are received. Default: the default pool. */
  pool?: Pool;
  /** Of each connection's send buffer (`SO_SNDBUF`); 0, the default: the system decides. */
  sendBufferBytes?: number;
  /**
   * What the kernel keeps of each connection beside what is under way (`TCP_NOTSENT_LOWAT`): so
   * much does a slow reader cost. Eight times that for clients that empty their socket within
   * 100 ms, and of what is sent by reference. 0: no bound. Default 128 KiB.
   */
  unsentBytesMax?: number;
  /**
   * How often a buffer above 128 KiB is copied to sockets before it is sent by reference
   * (`sendfile`), which is cheaper, but its memory is given back to the system and not filled again.
   * Keeps a descriptor for each, at most 256 or a sixteenth of the process's; buffers in huge pages
   * are copied (CAVEATS.md).
   * 0: always copied. Default 32.
   */
  copiesBeforeReference?: number;
  /**
   * Told of clients that were cut or turned away, at most ten of each kind a second, and of pauses in
   * accepting, one a second; the others are counted in the next one. What it throws is an uncaught exception. Without it
   * they are only counted ({@link HttpServer.stats}).
   */
  onIncident?: (incident: HttpIncident) => void;
  /**
   * HTTPS, through Node's own TLS (no HTTP/2, no renegotiation). Every byte is copied three times
   * more than without (reason `tls`). A handshake may take `headTimeoutMs` as a whole.
   */
  tls?: HttpTlsOptions;
}

/** The bounds of what a client may ask for; see {@link HttpServer.configure}. */
export interface HttpServerLimits {
  /** Of a request head, the empty line included; more is 431. Default 16 KiB, at most 64 KiB. */
  headBytesMax?: number;
  /** Of a request target; more is 414. Default 8 KiB. */
  targetBytesMax?: number;
  /** Header lines of a request; more is 431. Default and maximum 100. */
  headerFieldsMax?: number;
  /** From the first byte of a head to its last; then 408. Default 10 s. */
  headTimeoutMs?: number;
  /** Between requests, and before the first. Default 60 s. */
  idleTimeoutMs?: number;
  /** Without any progress of what is being sent. Default 60 s. */
  sendTimeoutMs?: number;
  /** Open at a time; more wait to be accepted. Default 10,000. */
  connectionsMax?: number;
  /** Undecided requests of one connection; then it is not read on. Default 16, at most 64. */
  pipelineMax?: number;
  /** Of a request body, read or not; a longer one ends the connection. Default 1 MiB. */
  bodyBytesMax?: number;
  /** Without a byte of a body that is being read. Default 60 s. */
  bodyTimeoutMs?: number;
  /**
   * How fast such a body must come on average while it is waited for, once `bodyTimeoutMs` has passed: a byte
   * now and then keeps no connection. 0: at any rate. Default 500.
   */
  bodyBytesPerSecondMin?: number;
  /**
   * Without a decision of the program's, or the next part of an answer that it has started; then
   * the answer is 504, or cut. 0, the default: never.
   */
  answerTimeoutMs?: number;
  /**
   * Of all connections' answers that wait for their sockets, each counted by itself although they may be
   * the same memory. Beyond it a connection has one request at a time, and those whose clients have taken
   * nothing for the longest are cut (`queueCuts`), so that clients that do not read keep memory from nobody
   * else. Default 4 GiB.
   */
  queuedBytesMax?: number;
}

interface NumberOption {
  readonly name: keyof HttpServerOptions;
  readonly fallback: number;
  readonly minimum: number;
  readonly maximum: number;
}

const option = (
  name: keyof HttpServerOptions, fallback: number, minimum: number, maximum: number,
): NumberOption => ({ name, fallback, minimum, maximum });

export const timeoutMsMax = 24 * 3600 * 1000;

/** In the order of the addon's httpListen(); ipv6Only is the third, and whether there is TLS the last. */
const numberOptions = [
  option('port', 0, 0, 65535),
  option('backlog', 511, 1, 65535),
  option('sendBufferBytes', 0, 0, 1 << 30),
  option('headBytesMax', 16 << 10, 256, 64 << 10),
  option('targetBytesMax', 8 << 10, 1, 64 << 10),
  option('headerFieldsMax', 100, 1, 100),
  option('connectionsMax', 10_000, 1, 1_000_000),
  option('pipelineMax', 16, 1, 64),
  option('bodyBytesMax', 1 << 20, 0, Number.MAX_SAFE_INTEGER),
  option('headTimeoutMs', 10_000, 1, timeoutMsMax),
  option('idleTimeoutMs', 60_000, 1, timeoutMsMax),
  option('sendTimeoutMs', 60_000, 1, timeoutMsMax),
  option('bodyTimeoutMs', 60_000, 1, timeoutMsMax),
  option('answerTimeoutMs', 0, 0, timeoutMsMax),
  option('copiesBeforeReference', 32, 0, 0xffff_ffff),
  option('unsentBytesMax', 128 << 10, 0, 1 << 30),
  option('queuedBytesMax', 4 * 2 ** 30, 0, Number.MAX_SAFE_INTEGER),
  option('bodyBytesPerSecondMin', 500, 0, 1 << 30),
] as const;

/** How long things may take, in ms, of which the engine knows nothing: it is behind TLS. */
export interface TlsTimes {
  handshakeTimeoutMs: number;
  sendTimeoutMs: number;
}

export function tlsTimesOf(limits: HttpServerLimits): TlsTimes {
  const timeOf = (name: 'headTimeoutMs' | 'sendTimeoutMs'): number =>
    limits[name] ?? numberOptions.find((each) => each.name === name)!.fallback;
  return { handshakeTimeoutMs: timeOf('headTimeoutMs'), sendTimeoutMs: timeOf('sendTimeoutMs') };
}

export function numbersOf(options: HttpServerOptions): Float64Array {
  const { ipv6Only = false } = options;
  validateBoolean(ipv6Only, 'options.ipv6Only');
  const numbers = numberOptions.map(({ name, fallback, minimum, maximum }) => {
    const value = options[name] ?? fallback;
    validateInteger(value, `options.${name}`, minimum, maximum);
    return value;
  });
  numbers.splice(2, 0, ipv6Only ? 1 : 0);
  numbers.push(options.tls === undefined ? 0 : 1);
  return Float64Array.from(numbers);
}

/** In the order of HttpPlace::Kind. */
export enum PlaceKind { Address, Path, Descriptor }

export interface Place {
  readonly kind: PlaceKind;
  readonly text: string;
  readonly number: number;
}

const modeOfUmask = -1;

export async function placeOf(options: HttpServerOptions): Promise<Place> {
  const { path, pathMode, fd, host } = options;
  if (path !== undefined && fd !== undefined) {
    throw invalidValue('options.fd', 'cannot be given beside options.path', fd);
  }
  if (path !== undefined) {
    validateString(path, 'options.path');
    if (pathMode !== undefined) validateInteger(pathMode, 'options.pathMode', 0, 0o777);
    return { kind: PlaceKind.Path, text: path, number: pathMode ?? modeOfUmask };
  }
  if (fd !== undefined) {
    validateInteger(fd, 'options.fd', 0, 0x7fff_ffff);
    return { kind: PlaceKind.Descriptor, text: '', number: fd };
  }
  return { kind: PlaceKind.Address, text: await addressOf(host ?? '127.0.0.1'), number: 0 };
}

// What removes the file of a Unix socket, if it is still the one that we have made.
export function remover(path: string): () => void {
  const made = statSync(path, { throwIfNoEntry: false })?.ino;
  return () => {
    try {
      if (statSync(path, { throwIfNoEntry: false })?.ino === made) rmSync(path, { force: true });
    } catch {
      // It stays: a server that comes will take it over.
    }
  };
}

async function addressOf(host: unknown): Promise<string> {
  validateString(host, 'options.host');
  if (isIP(host) !== 0) return host;
  return (await lookup(host)).address;
}
