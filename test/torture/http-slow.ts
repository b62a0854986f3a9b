// Clients that hold on to what they have: heads and bodies byte by byte, answers that nobody reads,
// ends in the middle. Each is one connection that the server must end, or that ends by itself.
import net from 'node:net';

import type { Server } from '../e2e/support/flash-lite';

/** How a slow client was ended. */
export interface SlowEnd {
  kind: SlowKind;
  /** What it got. */
  text: string;
}

/** In the head timeout's time, the body's, the send timeout's; the others end by themselves. */
export const slowKinds = ['head', 'body', 'dropped body', 'reader', 'vanishing', 'half-closing'] as const;
export type SlowKind = (typeof slowKinds)[number];

/** What is right for each: no good answer to what was never asked, all of what was. */
export function isRightEnd({ kind, text }: SlowEnd, wholeBytes: number): boolean {
  const status = /^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1];
  const bodyBytes = text.length - (text.indexOf('\r\n\r\n') + 4);
  switch (kind) {
    case 'head': return status === '408' && text.includes('\r\nConnection: close\r\n');
    case 'body': return status === '408';
    case 'dropped body': return status === '405';
    case 'reader': return status === '200';
    case 'vanishing': return true;
    case 'half-closing': return status === '200' && bodyBytes === wholeBytes;
  }
}

// Longer than anybody waits for.
const head = `GET /slow HTTP/1.1\r\nHost: a\r\nX: ${'y'.repeat(1000)}`;
const tickMs = 100;

/**
 * Begins one; resolves when its connection has ended, by whomever. `whole` is a target whose answer fits
 * the sockets, `large` one that does not, `reads` one whose body is read.
 */
export function beSlow(
  kind: SlowKind, server: Server, targets: { whole: string; large: string; reads: string },
): Promise<SlowEnd> {
  const socket = net.connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true });
  let text = '';
  let sent = 0;
  // A byte at a time: heads that never end, and bodies.
  const trickle = (bytes: string): NodeJS.Timeout =>
    setInterval(() => socket.write(bytes[sent++ % bytes.length]!), tickMs);
  let timer: NodeJS.Timeout | undefined;
  socket.setEncoding('latin1').on('error', () => {});
  switch (kind) {
    case 'head':
      timer = trickle(head);
      break;
    case 'body':
      socket.write(`POST ${targets.reads} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n`);
      timer = trickle('x');
      break;
    case 'dropped body':
      socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n');
      timer = trickle('x');
      break;
    case 'reader':
      socket.write(`GET ${targets.large} HTTP/1.1\r\nHost: a\r\n\r\n`.repeat(3));
      break;
    case 'vanishing':
    case 'half-closing':
      socket.write(`GET ${targets.whole} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: identity\r\n\r\n`);
      if (kind === 'half-closing') socket.end();
      break;
  }
  socket.on('data', (part: string) => {
    text += part;
    if (kind === 'reader') socket.pause();
    if (kind === 'vanishing') socket.resetAndDestroy();
  });
  return new Promise((resolve) => {
    const ended = (): void => {
      clearInterval(timer);
      socket.destroy();
      resolve({ kind, text });
    };
    socket.on('end', ended).on('close', ended);
    // A paused socket does not see that it was cut; one that is written to does.
    if (kind === 'reader') timer = setInterval(() => socket.write('x'), tickMs);
  });
}
