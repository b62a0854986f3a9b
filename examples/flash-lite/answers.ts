// Response heads, and the short answers that are built once so that a full pool can still be
// answered: a head is a status line and header lines; the connection adds Date and Connection.

import { STATUS_CODES } from 'node:http';

import { Aggregate } from 'io-lite';
import type { HttpRequest } from 'io-lite/http';

export type Fields = Record<string, string | number | undefined>;

export const kAllow = 'GET, HEAD, OPTIONS';

// RFC 9110 has another name for one of Node's.
function nameOf(status: number): string {
  return status === 413 ? 'Content Too Large' : STATUS_CODES[status] ?? 'Unknown';
}

export function headText(status: number, fields: Fields): string {
  let text = `HTTP/1.1 ${status} ${nameOf(status)}\r\n`;
  for (const [name, value] of Object.entries({ Server: 'flash-lite', ...fields })) {
    if (value !== undefined) text += `${name}: ${value}\r\n`;
  }
  return text;
}

const kPlainText = {
  'Content-Type': 'text/plain; charset=utf-8',
  'X-Content-Type-Options': 'nosniff',
};

const kExtraFields: Record<number, Fields> = {
  405: { Allow: kAllow },
  503: { 'Retry-After': 1 },
};

// What we answer, and what the connections answer by themselves, without asking us.
const kOurStatuses = [400, 403, 404, 405, 412, 500, 501, 503];
export const kOwnStatuses: readonly number[] =
  [400, 408, 413, 414, 417, 431, 500, 501, 502, 503, 504, 505];
// A page of the operator's may answer all of them.
export const kErrorStatuses: readonly number[] =
  [...new Set([...kOurStatuses, 416, ...kOwnStatuses])].sort();

// What a connection answers by itself; whoever has it disposes of both.
export interface OwnAnswer {
  status: number;
  head: Aggregate;
  body: Aggregate;
}

interface CannedAnswer {
  head: Aggregate;
  body: Aggregate | null;
}

export class Answers {
  readonly #canned = new Map<number, CannedAnswer>();
  readonly #unsatisfiable: Aggregate;
  readonly #always: Fields;

  // `always` is part of every answer.
  constructor(always: Fields) {
    this.#always = always;
    for (const status of kErrorStatuses) {
      if (status === 416) continue;  // It says how long the file is.
      const body = textOf(status);
      const fields = {
        ...kPlainText, ...always, 'Content-Length': body.length, ...kExtraFields[status],
      };
      const head = headText(status, fields);
      this.#canned.set(status, { head: Aggregate.from(head), body: Aggregate.from(body) });
    }
    const options = headText(204, { ...always, Allow: kAllow });
    this.#canned.set(204, { head: Aggregate.from(options), body: null });
    this.#unsatisfiable = Aggregate.from(textOf(416));
  }

  // What an answer of this status has whatever its body is.
  fieldsOf(status: number): Fields {
    return kExtraFields[status] ?? {};
  }

  // The same for somebody who keeps it: an answer of its own.
  ownAnswer(status: number): OwnAnswer {
    const { head, body } = this.#canned.get(status) as CannedAnswer;
    return { status, head: head.clone(), body: (body as Aggregate).clone() };
  }

  // One of the statuses above.
  respond(request: HttpRequest, status: number): void {
    const { head, body } = this.#canned.get(status) as CannedAnswer;
    request.respond(head, body);
  }

  respondUnsatisfiable(request: HttpRequest, byteLength: number): void {
    const fields = {
      ...kPlainText,
      ...this.#always,
      'Content-Length': this.#unsatisfiable.byteLength,
      'Content-Range': `bytes */${byteLength}`,
    };
    respondOnce(request, headText(416, fields), this.#unsatisfiable);
  }

  respondRedirect(request: HttpRequest, location: string): void {
    const fields = { ...kPlainText, ...this.#always, Location: location };
    respondText(request, 301, fields, textOf(301));
  }

  // To HTTPS, by the same method. Without HSTS, which is not to be sent by plain HTTP (RFC 6797 section 7.2).
  respondSecureRedirect(request: HttpRequest, location: string): void {
    const fields = {
      ...kPlainText, ...this.#always, 'Strict-Transport-Security': undefined, Location: location,
    };
    respondText(request, 308, fields, textOf(308));
  }

  respondPage(request: HttpRequest, fields: Fields, html: string): void {
    respondText(request, 200, { ...fields, ...this.#always }, html);
  }

  dispose(): void {
    for (const { head, body } of this.#canned.values()) {
      head.dispose();
      body?.dispose();
    }
    this.#canned.clear();
    this.#unsatisfiable.dispose();
  }
}

// A text that is made for this request alone.
export function respondText(
  request: HttpRequest, status: number, fields: Fields, text: string,
): void {
  const bytes = Buffer.from(text);
  const body = Aggregate.from(bytes);
  try {
    respondOnce(request, headText(status, { ...fields, 'Content-Length': bytes.length }), body);
  } finally {
    body.dispose();
  }
}

function respondOnce(request: HttpRequest, text: string, body: Aggregate): void {
  const head = Aggregate.from(text);
  try {
    request.respond(head, body);
  } finally {
    head.dispose();
  }
}

function textOf(status: number): string {
  return `${status} ${nameOf(status)}\n`;
}
