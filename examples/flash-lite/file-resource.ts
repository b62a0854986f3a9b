// One version of one file, in all the forms in which it is sent.
//
// Lifetime: the resource map drops a resource when the file has changed or the map is full; answers
// that are being prepared have retained it, and the last of them gives its memory back.

import type { CachedFile } from 'io-lite';
import { formatHttpDate, Interest, type RespondOptions } from 'io-lite/http';

import type { Fields } from './answers';
import type { Encoded } from './encoder';
import type { Coding } from './preferences';
import { Representation, type RepresentationFacts } from './representation';

export const kConditional = Interest.IfMatch | Interest.IfNoneMatch | Interest.IfModifiedSince |
  Interest.IfUnmodifiedSince;
// The headers by which an answer is found, but for Accept-Encoding.
export const kDecisive = kConditional | Interest.Range;

// How long a sibling that appears, or goes, may be unnoticed.
const kLookAgainMs = 1000;
// How long a file is sent as it is, once the encoder has declined it.
const kDeclinedMs = 10_000;
// Forms that were siblings once; they go with the resource.
const kOthersMax = 16;

export interface ResourceFacts {
  contentType: string;
  fields: Fields;
  isNegotiated: boolean;     // There may be other forms than the file as it is:
  isEncodable: boolean;      // made here,
  mayHaveSiblings: boolean;  // or beforehand.
}

export class FileResource {
  readonly identity: Representation;
  // Of answers that are given to everybody who asks in the same way.
  repeat: RespondOptions = {};
  // What a client gets by the index of its preference, as far as that was asked for.
  readonly choices: (Representation | undefined)[] = [];
  isTouched = true;  // Since the map last looked for something to drop.
  // Files that were encoded beforehand, once somebody looked for them.
  siblings: Promise<ReadonlyMap<Coding, Representation>> | undefined;
  readonly #facts: Omit<RepresentationFacts, 'etag' | 'coding'>;
  readonly #others: Representation[] = [];
  #users = 1;  // The map's own use.
  #lookedAtMs = 0;
  #lookAgainMs = Infinity;  // After so long.

  constructor(readonly file: CachedFile, readonly facts: ResourceFacts) {
    // A date after that of the response would be a lie (RFC 9110 section 8.8.2.1).
    const lastModified = file.mtimeMs <= Date.now() ? formatHttpDate(file.mtimeMs) : undefined;
    const { contentType, isNegotiated } = facts;
    this.#noteLook();
    const fields = isNegotiated ? { Vary: 'Accept-Encoding', ...facts.fields } : facts.fields;
    this.#facts = { lastModified, contentType, fields };
    const { etag } = file;
    this.identity =
      new Representation(file, undefined, { ...this.#facts, etag, coding: undefined });
  }

  // What is beside the file was last looked for too long ago.
  get isDue(): boolean {
    return this.#lookAgainMs !== Infinity && performance.now() - this.#lookedAtMs >= this.#lookAgainMs;
  }

  // The file as it is, for a while.
  decline(index: number): Representation {
    if (this.#lookAgainMs === Infinity) this.#noteLook(kDeclinedMs);
    return this.choices[index] = this.identity;
  }

  // The file is still this one, but what is beside it is to be looked for again. False: all of it is to be
  // made anew, since its head would be another one, or too many siblings have come and gone.
  lookAgain(): boolean {
    if (this.#facts.lastModified === undefined || this.#others.length >= kOthersMax) return false;
    this.siblings = undefined;
    this.choices.length = 0;
    this.#noteLook();
    return true;
  }

  // Takes over the sibling, also when it throws.
  addSibling(file: CachedFile, coding: Coding): Representation {
    const known = this.#others.find((other) => other.file === file);
    if (known !== undefined) {
      file.close();  // It was opened once more.
      return known;
    }
    const etag = `${file.etag.slice(0, -1)}-${coding}"`;
    try {
      return this.#add(new Representation(file, undefined, { ...this.#facts, etag, coding }));
    } catch (error) {
      file.close();
      throw error;
    }
  }

  addEncoded(encoded: Encoded, coding: Coding): Representation {
    const known = this.#others.find((other) => other.encoded === encoded);
    if (known !== undefined) return known;
    const { etag } = encoded;
    return this.#add(new Representation(undefined, encoded, { ...this.#facts, etag, coding }));
  }

  retain(): this {
    this.#users++;
    return this;
  }

  release(): void {
    if (--this.#users > 0) return;
    this.identity.dispose();
    for (const other of this.#others) other.dispose();
    this.choices.length = 0;
  }

  // What is there was found now, and is good for so long.
  #noteLook(forMs = this.facts.mayHaveSiblings ? kLookAgainMs : Infinity): void {
    this.#lookedAtMs = performance.now();
    this.#lookAgainMs = forMs;
    const uses = this.facts.isNegotiated ? kDecisive | Interest.AcceptEncoding : kDecisive;
    this.repeat = { repeat: { uses, whileFresh: this.file, forMs: forMs === Infinity ? undefined : forMs } };
  }

  #add(representation: Representation): Representation {
    this.#others.push(representation);
    return representation;
  }
}
