// One form of a file, as it is or in one coding, with everything an answer needs that does not
// depend on the request.

import { Aggregate, type CachedFile } from 'io-lite';
import type { ByteRange, Validators } from 'io-lite/http';

import { headText, type Fields } from './answers';
import type { Encoded } from './encoder';
import { contentRange, multipartOf, type Piece } from './multipart';

// Where bytes come from: a cached file, or a file that was encoded here.
export interface ByteSource {
  readonly path: string;
  readonly byteLength: number;
  // Undefined when the disk is needed.
  tryRead(offset: number, length: number): Aggregate | undefined;
  read(offset: number, length: number): Promise<Aggregate>;
}

// What to send: a head, and the pieces that follow it.
export interface Selection {
  head: Aggregate;
  source: ByteSource;
  pieces: readonly Piece[];
  length: number;        // Of all pieces.
  isTemporary: boolean;  // The head was made for this request: dispose of it afterwards.
}

export interface RepresentationFacts {
  etag: string;                      // Strong and quoted.
  lastModified: string | undefined;
  contentType: string;
  coding: string | undefined;        // Content-Encoding.
  fields: Fields;                    // Of every answer: Vary, Cache-Control and what was configured.
}

export class Representation implements Validators {
  readonly etag: string;
  readonly lastModified: string | undefined;
  readonly whole: Selection;
  readonly notModified: Selection;
  readonly #facts: RepresentationFacts;

  constructor(
    readonly file: CachedFile | undefined, readonly encoded: Encoded | undefined,
    facts: RepresentationFacts,
  ) {
    this.#facts = facts;
    this.etag = facts.etag;
    this.lastModified = facts.lastModified;
    const { byteLength: length } = this.#source;
    this.whole = this.#selection(200, { 'Content-Length': length }, [{ offset: 0, length }], length);
    try {
      const { fields } = facts;
      const validators = { ETag: this.etag, 'Last-Modified': this.lastModified, ...fields };
      const head = Aggregate.from(headText(304, validators));
      this.notModified = { head, source: this.#source, pieces: [], length: 0, isTemporary: false };
    } catch (error) {
      this.whole.head.dispose();
      throw error;
    }
  }

  // What was encoded here is given up when others need its memory.
  get isGone(): boolean {
    return this.encoded?.isGone === true;
  }

  get #source(): ByteSource {
    return (this.file ?? this.encoded) as ByteSource;
  }

  selectRanges(ranges: readonly ByteRange[]): Selection {
    const { byteLength } = this.#source;
    const [first, second] = ranges as [ByteRange, ByteRange | undefined];
    if (second === undefined) {
      const fields = {
        'Content-Length': first.length, 'Content-Range': contentRange(first, byteLength),
      };
      return { ...this.#selection(206, fields, [first], first.length), isTemporary: true };
    }
    const multipart = multipartOf(ranges, byteLength, this.#facts.contentType);
    const fields = {
      'Content-Length': multipart.byteLength, 'Content-Type': multipart.contentType,
    };
    const { pieces, byteLength: length } = multipart;
    return { ...this.#selection(206, fields, pieces, length), isTemporary: true };
  }

  // The whole of it as the page of an error.
  selectAs(status: number, fields: Fields): Selection {
    const { contentType, coding, fields: configured } = this.#facts;
    const { length, pieces, source } = this.whole;
    const head = headText(status, {
      'Content-Type': contentType, 'Content-Length': length, 'Content-Encoding': coding,
      'X-Content-Type-Options': 'nosniff', ...configured, 'Cache-Control': undefined, ...fields,
    });
    return { head: Aggregate.from(head), source, pieces, length, isTemporary: true };
  }

  dispose(): void {
    this.whole.head.dispose();
    this.notModified.head.dispose();
    this.file?.close();
  }

  #selection(
    status: number, more: Fields, pieces: readonly Piece[], length: number,
  ): Selection {
    const { contentType, coding, fields } = this.#facts;
    const head = headText(status, {
      ETag: this.etag,
      'Last-Modified': this.lastModified,
      'Content-Type': contentType,
      'Content-Encoding': coding,
      'X-Content-Type-Options': 'nosniff',
      'Accept-Ranges': 'bytes',
      ...fields,
      ...more,
    });
    return { head: Aggregate.from(head), source: this.#source, pieces, length, isTemporary: false };
  }
}
