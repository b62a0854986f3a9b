/**
 * The figures of an HTTP server.
 */
/** Since the server was made, but for `connectionsOpen` and `bytesQueued`. */
export interface HttpServerStats {
  readonly connectionsOpen: number;
  readonly connectionsTotal: number;
  /** Well-formed ones. */
  readonly requests: number;
  /** Of these, answered again without asking the program: `repeat` of RespondOptions. */
  readonly repeated: number;
  readonly responses1xx: number;
  readonly responses2xx: number;
  readonly responses3xx: number;
  readonly responses4xx: number;
  readonly responses5xx: number;
  /** Taken by the kernel. */
  readonly bytesSent: number;
  /** Of these, without a copy. */
  readonly bytesByReference: number;
  /** Heads and bodies that were refused natively. */
  readonly malformed: number;
  /** Answered 503 natively because the pool was full. */
  readonly refusedForMemory: number;
  readonly headTimeouts: number;
  readonly idleTimeouts: number;
  readonly sendTimeouts: number;
  readonly bodyTimeouts: number;
  /** Requests that the program has not answered in time. */
  readonly answerTimeouts: number;
  /** Requests whose client left before the answer was given completely. */
  readonly clientsLost: number;
  /** System calls that receive, and that send. */
  readonly receives: number;
  readonly sends: number;
  /** Sends that the socket took only a part of. */
  readonly partialSends: number;
  /** Times that accepting was paused: connectionsMax, or no descriptors or memory left. */
  readonly acceptPauses: number;
  /** Of these, and of connections that were lost to it: no descriptors or memory. */
  readonly acceptFailures: number;
  /** Of answers that wait for their sockets: see `queuedBytesMax`. Now, not since the start. */
  readonly bytesQueued: number;
  /** Connections cut because of `queuedBytesMax`. */
  readonly queueCuts: number;
  /** Of HTTPS: handshakes that failed, or took too long. */
  readonly tlsFailures: number;
}

/** @internal In the order of the addon's httpStats(). */
export const statNames = [
  'connectionsOpen', 'connectionsTotal', 'requests', 'responses1xx', 'responses2xx',
  'responses3xx', 'responses4xx', 'responses5xx', 'bytesSent', 'malformed', 'refusedForMemory',
  'headTimeouts', 'idleTimeouts', 'sendTimeouts', 'clientsLost', 'receives', 'sends',
  'partialSends', 'acceptPauses', 'bodyTimeouts', 'answerTimeouts', 'bytesByReference',
  'acceptFailures', 'bytesQueued', 'queueCuts', 'repeated',
] as const;
