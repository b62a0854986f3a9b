// Response heads, and the short answers that are built once so that a full pool can still be
// answered: a head is a status line and header lines; the connection adds Date and Connection.

import { STATUS_CODES } from 'node:http';

import { Aggregate } from 'io-lite';
import type { HttpRequest } from 'io-lite/http';

export type Fields = Record<string, string | number | undefined>;

export const kAllow = 'GET, HEAD, OPTIONS';

export function headText(status: number, fields: Fields): string {
  let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unknown'}\r\n`;
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

// Those that a page of the operator's may answer, too.
export const kErrorStatuses = [400, 403, 404, 405, 412, 500, 501, 503] as const;

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
  return `${status} ${STATUS_CODES[status]}\n`;
}
