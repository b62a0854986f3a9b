// Files in codings that nobody made beforehand: encoded once, off the loop, and kept in the window
// within a budget. The least recently used ones go first; a new version of a file ends the old one's.
// Once the budget is used up, one takes the place of another only so fast: a site that does not fit
// would else be encoded for ever. What is declined is sent as it is.

import { once } from 'node:events';
import zlib from 'node:zlib';

import { Aggregate, crc32c, unsafeUint8Array, type CachedFile, type Pool } from 'io-lite';

import { messageOf } from './failures';
import { log } from './log';
import type { Coding } from './preferences';
import type { ByteSource } from './representation';

type Stream = zlib.Gzip | zlib.BrotliCompress;

// Below this the head is longer than what is saved.
export const kEncodedBytesMin = 256;
// What does not get smaller than this share is sent as it is.
const kWorthwhileShare = 0.9;
// So much of the budget is left when something had to be dropped: each time answers are forgotten.
const kRoomyShare = 0.9;
// Of files that are encoded beyond that share: some 3 % of a processor.
const kTurnoverBytesPerMs = 2 ** 20 / 1000;
const kTurnoverBytesMax = 2 ** 20;
// At a time: libuv's four threads serve the disk, too.
const kJobsMax = 2;
const kWaitingMax = 256;

// Qualities that cost about 10 ms for 256 KiB.
const kStreams: Partial<Record<Coding, (byteLength: number) => Stream>> = {
  br: (byteLength) => zlib.createBrotliCompress({
    params: {
      [zlib.constants.BROTLI_PARAM_QUALITY]: 5,
      [zlib.constants.BROTLI_PARAM_SIZE_HINT]: byteLength,
    },
  }),
  gzip: () => zlib.createGzip({ level: 6 }),
};
// Node 22.15 has it, and 23.8.
const { createZstdCompress } = zlib as unknown as { createZstdCompress?: () => Stream };
if (createZstdCompress !== undefined) kStreams.zstd = () => createZstdCompress();

export function canEncode(coding: Coding): boolean {
  return kStreams[coding] !== undefined;
}

export class Encoded implements ByteSource {
  readonly byteLength: number;
  readonly etag: string;
  isTouched = true;  // Since somebody looked for something to drop.

  constructor(readonly path: string, readonly body: Aggregate, etag: string, coding: Coding) {
    this.byteLength = body.byteLength;
    // Why the checksum: another zlib may encode in another way, and a tag is for one row of bytes.
    this.etag = `${etag.slice(0, -1)}-${coding}-${crc32c(body).toString(16)}"`;
  }

  get isGone(): boolean {
    return this.body.isDisposed;
  }

  tryRead(offset: number, length: number): Aggregate {
    return this.body.slice(offset, offset + length);
  }

  read(offset: number, length: number): Promise<Aggregate> {
    return Promise.resolve(this.tryRead(offset, length));
  }
}

// Useless: it is not smaller, or it failed.
type Outcome = Encoded | 'useless';

interface Version {
  etag: string;
  outcomes: Map<Coding, Outcome | Promise<Outcome>>;
}

export interface EncoderGround {
  readonly pool: Pool;
  readonly forgetAnswers: () => void;  // What was dropped may still be an answer.
}

export class Encoder {
  readonly #versions = new Map<string, Version>();  // By path.
  readonly #waiting: (() => void)[] = [];
  readonly #pool: Pool;
  readonly #forgetAnswers: () => void;
  #jobs = 0;
  #bytes = 0;
  #encoded = 0;
  #evictions = 0;
  #declined = 0;
  #turnoverBytes = kTurnoverBytesMax;
  #turnoverAtMs = 0;
  #isClosed = false;
  #hasRepeats = false;

  constructor(
    readonly bytesMax: number, readonly fileBytesMax: number,
    { pool, forgetAnswers }: EncoderGround,
  ) {
    this.#pool = pool;
    this.#forgetAnswers = forgetAnswers;
  }

  isFor(byteLength: number): boolean {
    return byteLength >= kEncodedBytesMin &&
      byteLength <= Math.min(this.fileBytesMax, this.bytesMax);
  }

  // A promise while it is being made, which never rejects; undefined when too many wait. Declined: not in
  // the next seconds.
  get(file: CachedFile, coding: Coding): Outcome | 'declined' | Promise<Outcome> | undefined {
    const { outcomes } = this.#versionOf(file);
    const known = outcomes.get(coding);
    if (known instanceof Encoded) {
      known.isTouched = true;
      return known;
    }
    if (known !== undefined) return known;
    if (this.#waiting.length === kWaitingMax) return undefined;
    if (!this.#admit(file.byteLength)) {
      this.#declined++;
      return 'declined';
    }
    const job = this.#make(file, coding).then((outcome) => {
      if (outcomes.get(coding) === job) {
        outcomes.set(coding, outcome);
        if (outcome instanceof Encoded) this.#add(outcome);
      } else if (outcome instanceof Encoded) {
        outcome.body.dispose();  // There is a newer version meanwhile, or the server has stopped.
      }
      return outcome;
    });
    outcomes.set(coding, job);
    return job;
  }

  stats(): Record<string, number> {
    return {
      bytes: this.#bytes, bytesMax: this.bytesMax, files: this.#versions.size,
      encoded: this.#encoded, evictions: this.#evictions, declined: this.#declined, jobs: this.#jobs,
      jobsWaiting: this.#waiting.length,
    };
  }

  dispose(): void {
    this.#isClosed = true;
    for (const path of [...this.#versions.keys()]) this.#drop(path);
  }

  #versionOf({ path, etag }: CachedFile): Version {
    const version = this.#versions.get(path);
    if (version?.etag === etag) return version;
    this.#drop(path);
    const created = { etag, outcomes: new Map<Coding, Outcome | Promise<Outcome>>() };
    this.#versions.set(path, created);
    return created;
  }

  #drop(path: string): void {
    const version = this.#versions.get(path);
    if (version === undefined) return;
    this.#versions.delete(path);
    for (const outcome of version.outcomes.values()) {
      if (outcome instanceof Encoded) this.#release(outcome);
    }
    version.outcomes.clear();
  }

  #release(encoded: Encoded): void {
    this.#bytes -= encoded.byteLength;
    encoded.body.dispose();
    if (this.#hasRepeats) this.#forgetAnswers();
    this.#hasRepeats = false;
  }

  // An answer with something encoded is about to be repeated: it holds the bytes until it is forgotten.
  noteRepeat(): void {
    this.#hasRepeats = true;
  }

  // The last one may take more than is left: else a large file would never have its turn.
  #admit(byteLength: number): boolean {
    if (this.#bytes <= this.bytesMax * kRoomyShare) return true;
    const nowMs = performance.now();
    const more = (nowMs - this.#turnoverAtMs) * kTurnoverBytesPerMs;
    this.#turnoverBytes = Math.min(kTurnoverBytesMax, this.#turnoverBytes + more);
    this.#turnoverAtMs = nowMs;
    if (this.#turnoverBytes <= 0) return false;
    this.#turnoverBytes -= byteLength;
    return true;
  }

  #add(encoded: Encoded): void {
    this.#bytes += encoded.byteLength;
    this.#encoded++;
    encoded.isTouched = true;
    if (this.#bytes <= this.bytesMax) return;
    // Second chance, as in the resource map: whatever is passed over comes last. Two rounds at most: then
    // all marks are gone.
    let left = 2 * this.#versions.size;
    for (const [path, version] of this.#versions) {
      if (this.#bytes <= this.bytesMax * kRoomyShare || left-- === 0) return;
      const outcomes = [...version.outcomes.values()];
      const kept = outcomes.filter((each) => each instanceof Encoded);
      const isWanted = kept.includes(encoded) || kept.some(({ isTouched }) => isTouched) ||
        outcomes.some((each) => each instanceof Promise);
      if (isWanted) {
        for (const each of kept) each.isTouched = false;
        this.#versions.delete(path);
        this.#versions.set(path, version);
      } else {
        this.#drop(path);
        this.#evictions += kept.length;
      }
    }
  }

  async #make(file: CachedFile, coding: Coding): Promise<Outcome> {
    if (this.#jobs === kJobsMax) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#jobs++;
    }
    try {
      if (this.#isClosed) return 'useless';
      return await this.#encode(file, coding);
    } catch (error) {
      // As it is the file may be sent all the same.
      if (!this.#isClosed) log(`${file.path} cannot be sent as ${coding}: ${messageOf(error)}`);
      return 'useless';
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#jobs--;
      else next();
    }
  }

  async #encode(file: CachedFile, coding: Coding): Promise<Outcome> {
    using input = await file.read();
    const bytesMax = input.byteLength * kWorthwhileShare;
    const stream = (kStreams[coding] as (byteLength: number) => Stream)(input.byteLength);
    const chunks: Buffer[] = [];
    let byteLength = 0;
    stream.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      byteLength += chunk.length;
    });
    try {
      const end = once(stream, 'end');
      end.catch(() => undefined);  // Reported below, or by a write.
      for (const slice of input) {
        if (!stream.write(unsafeUint8Array(slice))) await once(stream, 'drain');
      }
      stream.end();
      await end;
    } finally {
      stream.destroy();
    }
    if (byteLength > bytesMax) return 'useless';
    const draft = this.#pool.allocate(byteLength);
    let at = 0;
    for (const chunk of chunks) at += draft.write(chunk, at);
    using sealed = draft.seal();
    return new Encoded(file.path, Aggregate.from(sealed), file.etag, coding);
  }
}
