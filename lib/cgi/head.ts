/**
 * Heads of answers that workers give: made once, sent as often as wanted.
 */
import { invalidType, invalidValue, validateInteger, validateObject } from '../validate';

/** Header fields of an answer; several of one name are an array. */
export type CgiFields = Readonly<Record<string, string | number | readonly string[]>>;

// What the connection says, and what follows from the body.
const withheld = new Set([
  'connection', 'content-length', 'date', 'keep-alive', 'te', 'trailer', 'transfer-encoding',
  'upgrade',
]);

const linePattern = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\t\x20-\x7e\x80-\xff]*$/;

/** Whether `text` is header lines, each ended by CRLF, of which none is the connection's business. */
export function areFieldLines(text: string): boolean {
  if (text === '') return true;
  if (!text.endsWith('\r\n')) return false;
  return text.slice(0, -2).split('\r\n').every((line) =>
    linePattern.test(line) && !withheld.has(line.slice(0, line.indexOf(':')).toLowerCase()));
}

function linesOf(fields: CgiFields): string {
  let text = '';
  for (const [name, value] of Object.entries(fields)) {
    const values = typeof value === 'object' ? value : [value];
    for (const each of values) {
      if (typeof each !== 'string' && typeof each !== 'number') {
        throw invalidType(`fields.${name}`, 'a string, a number or an array of strings', each);
      }
      const line = `${name}: ${each}\r\n`;
      if (!areFieldLines(line)) {
        throw invalidValue(`fields.${name}`, 'must be a header field that is not the connection\'s', each);
      }
      text += line;
    }
  }
  return text;
}

/** Status and header fields. Make one for many answers: that saves most of what an answer costs. */
export class CgiResponseHead {
  readonly status: number;
  /** @internal */
  readonly text: string;
  /** @internal Under which the server may have it. */
  number = 0;

  /**
   * @param status 200 to 599.
   * @param fields latin1; not `Content-Length`, `Transfer-Encoding`, `Date` and `Connection`, which
   * follow from the body and the connection.
   */
  constructor(status: number, fields: CgiFields = {}) {
    validateInteger(status, 'status', 200, 599);
    validateObject(fields, 'fields');
    this.status = status;
    this.text = linesOf(fields);
  }
}
