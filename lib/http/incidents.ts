/**
 * What an operator must know of clients: who was cut or turned away, and why.
 */
import { getSystemErrorName } from 'node:util';

import { native } from '../native';
import type { NativeServer } from './native';

declare module '../native' {
  interface NativeAddon {
    /** From now on. */
    httpReportIncidents(server: NativeServer): void;
    /** kind, status, errno, why, host, port, missed; and again. */
    httpTakeIncidents(server: NativeServer): (number | string)[];
  }
}

/** In the order of IncidentKind in src-native/http/incidents.h. */
const kinds = [
  'head-timeout', 'body-timeout', 'send-timeout', 'answer-timeout', 'malformed', 'body-too-large',
  'no-memory', 'queue-full', 'connections-max', 'accept-failed',
] as const;

/**
 * - `head-timeout`: a head, or a body that nobody reads, did not come within `headTimeoutMs`;
 *   `body-timeout`, `send-timeout`, `answer-timeout`: the other times of a server
 * - `malformed`: a head or a chunked body is refused, and the connection with it
 * - `body-too-large`: longer than `bodyBytesMax`; the answer to it ends the connection
 * - `no-memory`: the pool was full, the request is answered 503 unread
 * - `queue-full`: cut because of `queuedBytesMax`
 * - `connections-max`, `accept-failed`: nobody is accepted until a connection ends, or for a moment
 * - `handshake-failed`: of TLS; `reason` is OpenSSL's, or `timeout` (`headTimeoutMs`), or `ECONNRESET`: the
 *   client has left. Who leaves without a byte, as checks of balancers do, is only counted (`tlsFailures`)
 */
export type HttpIncidentKind = (typeof kinds)[number] | 'handshake-failed';

/** One of them. */
export interface HttpIncident {
  readonly kind: HttpIncidentKind;
  /** Of the answer that the server itself gave; 0: the program's, or none. */
  readonly status: number;
  /** What is malformed or went wrong, in words, or the name of a system error (`EMFILE`); else empty. */
  readonly reason: string;
  /** The client's address; empty when there is none, or nobody knows any more. */
  readonly client: string;
  readonly port: number;
  /** More of this kind since the last one that was told. */
  readonly missed: number;
}

/** @internal What the addon does not see, as rarely as it tells of its own: kPerSecond in src-native/http/incidents.h. */
export class IncidentRate {
  static readonly perSecond = 10;
  #startMs = -Infinity;
  #count = 0;
  #missed = 0;

  /** How many were missed since the last one that was told; `undefined`: so is this one. */
  admit(nowMs = performance.now()): number | undefined {
    if (nowMs - this.#startMs >= 1000) {
      this.#startMs = nowMs;
      this.#count = 0;
    }
    if (this.#count === IncidentRate.perSecond) {
      this.#missed++;
      return undefined;
    }
    this.#count++;
    const missed = this.#missed;
    this.#missed = 0;
    return missed;
  }
}

const fields = 7;

/** @internal The oldest first. */
export function takeIncidents(server: NativeServer): HttpIncident[] {
  const taken = native.httpTakeIncidents(server);
  const incidents: HttpIncident[] = [];
  for (let i = 0; i < taken.length; i += fields) {
    const [kind, status, errno, why, client, port, missed] = taken.slice(i, i + fields) as
      [number, number, number, string, string, number, number];
    const reason = errno === 0 ? why : getSystemErrorName(-errno);
    incidents.push({ kind: kinds[kind]!, status, reason, client, port, missed });
  }
  return incidents;
}
