// One version of one file, with everything an answer needs that does not depend on the request.
//
// Lifetime: the resource map drops a resource when the file changed or the map is full; answers
// that are being prepared have retained it, and the last of them gives its memory back.

import { extname } from 'node:path';

import { Aggregate, type CachedFile } from 'io-lite';
import { contentType } from 'mime-types';

import { headText, type Fields } from './answers';
import type { Validators } from './conditions';
import { formatHttpDate } from './http-date';
import type { ByteRange } from './range';

// What to send: a head, and the bytes of the file that follow it.
export interface Selection extends ByteRange {
  head: Aggregate;
  isTemporary: boolean;  // The head was made for this request: dispose of it afterwards.
}

export class FileResource implements Validators {
  readonly etag: string;
  readonly lastModified: string | undefined;
  readonly whole: Selection;
  readonly notModified: Selection;
  isTouched = true;  // Since the map last looked for something to drop.
  readonly #fields: Fields;
  #users = 1;  // The map's own use.

  constructor(readonly file: CachedFile) {
    this.etag = file.etag;
    // A date after that of the response would be a lie (RFC 9110 section 8.8.2.1).
    this.lastModified = file.mtimeMs <= Date.now() ? formatHttpDate(file.mtimeMs) : undefined;
    const validators = { ETag: this.etag, 'Last-Modified': this.lastModified };
    this.#fields = {
      ...validators,
      'Content-Type': contentType(extname(file.path)) || 'application/octet-stream',
      'X-Content-Type-Options': 'nosniff',
      'Accept-Ranges': 'bytes',
    };
    const length = file.byteLength;
    const ok = headText(200, { ...this.#fields, 'Content-Length': length });
    this.whole = { head: Aggregate.from(ok), offset: 0, length, isTemporary: false };
    try {
      const head = Aggregate.from(headText(304, validators));
      this.notModified = { head, offset: 0, length: 0, isTemporary: false };
    } catch (error) {
      this.whole.head.dispose();
      throw error;
    }
  }

  selectRange({ offset, length }: ByteRange): Selection {
    const text = headText(206, {
      ...this.#fields,
      'Content-Length': length,
      'Content-Range': `bytes ${offset}-${offset + length - 1}/${this.file.byteLength}`,
    });
    return { head: Aggregate.from(text), offset, length, isTemporary: true };
  }

  retain(): this {
    this.#users++;
    return this;
  }

  release(): void {
    if (--this.#users > 0) return;
    this.whole.head.dispose();
    this.notModified.head.dispose();
    this.file.close();
  }
}
