// What the connections tell of clients that were cut or turned away, as lines of the error log.

import type { HttpIncident, HttpIncidentKind } from 'io-lite/http';

import { log } from './log';

const kTexts: Record<HttpIncidentKind, string> = {
  'head-timeout': 'was cut: its request did not come in time',
  'body-timeout': 'was cut: the body of its request did not come in time',
  'send-timeout': 'was cut: it did not take its answer in time',
  'answer-timeout': 'was cut: its answer was not there in time',
  malformed: 'was refused',
  'body-too-large': 'was refused: the body of its request is too long',
  'no-memory': 'was refused: there is no memory for its request',
  'queue-full': 'was cut: too much waits for clients that do not read',
  'handshake-failed': 'was refused: its TLS handshake failed',
  'connections-max': 'nobody more is accepted until a connection ends',
  'accept-failed': 'nobody is accepted for a moment',
};

export function logIncident({ kind, status, reason, client, port, missed }: HttpIncident): void {
  const who = client === '' ? '' : `${port === 0 ? client : `${client} port ${port}`} `;
  const answer = status === 0 ? '' : ` (${status})`;
  const more = missed === 0 ? '' : `; ${missed} more like it`;
  log(`${who}${kTexts[kind]}${reason === '' ? '' : `: ${reason}`}${answer}${more}`);
}
