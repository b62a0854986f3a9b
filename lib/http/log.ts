/**
 * What became of requests, for access logs: taken in batches, so that the requests themselves wait for
 * nobody who writes.
 */
import { native } from '../native';
import type { NativeServer } from './native';

/** One request that was answered, refused or given up. Texts are as they were received, not decoded. */
export interface HttpAnswerRecord {
  /** When it ended, in milliseconds since 1970; whole seconds. */
  readonly endedAt: number;
  /** From the last byte of its head to the last byte of the answer that the kernel took. */
  readonly durationMs: number;
  /** 0: the client left before there was one. */
  readonly status: number;
  /** Taken by the kernel, the head not counted. */
  readonly bodyBytes: number;
  /** False: the answer was cut. */
  readonly isComplete: boolean;
  /** The client's address, `unix:` for a Unix socket; empty when nobody knows any more. */
  readonly client: string;
  /** This and what follows is empty when it was not there, or the head was refused. */
  readonly method: string;
  readonly target: string;
  /** Of HTTP/1.x. */
  readonly versionMinor: number;
  readonly host: string;
  readonly referer: string;
  readonly userAgent: string;
}

/** As text: Common and Combined Log Format, or an object of JSON in each line. */
export type HttpLogFormat = 'common' | 'combined' | 'json';

/** @internal In the order of AnswerLog::Format of src-native/http/answer_log.h, behind Records. */
export const logFormats: readonly HttpLogFormat[] = ['common', 'combined', 'json'];

/** The struct Facts of that file. */
const factsBytes = 48;
const partsAt = 30;

/** @internal What one server keeps of requests, and how many of them. */
export class AnswerLog {
  taken = 0;
  dropped = 0;
  readonly #server: NativeServer;
  // Of records: where they are put.
  #bytes = Buffer.alloc(0);
  #doubles = new Float64Array();
  #words = new Uint32Array();
  #halves = new Uint16Array();

  constructor(server: NativeServer) {
    this.#server = server;
  }

  set(bytesMax: number, format: HttpLogFormat | undefined): void {
    native.httpSetLog(this.#server, bytesMax, format === undefined ? 0 : 1 + logFormats.indexOf(format));
    const memory = new ArrayBuffer(format === undefined ? bytesMax + 7 & ~7 : 0);
    this.#bytes = Buffer.from(memory);
    this.#doubles = new Float64Array(memory);
    this.#words = new Uint32Array(memory);
    this.#halves = new Uint16Array(memory);
  }

  take(): HttpAnswerRecord[] {
    const records: HttpAnswerRecord[] = [];
    if (this.#bytes.length === 0) return records;
    const length = native.httpTakeLog(this.#server, this.#bytes);
    this.#count();
    for (let at = 0; at < length; at += this.#words[at / 4 + 4]!) records.push(this.#recordAt(at));
    return records;
  }

  takeLines(): Buffer {
    const lines = native.httpTakeLogLines(this.#server);
    this.#count();
    return lines;
  }

  #count(): void {
    this.dropped = native.scratch[0]!;
    this.taken = native.scratch[1]!;
  }

  #recordAt(at: number): HttpAnswerRecord {
    const doubles = this.#doubles;
    const words = this.#words;
    const halves = this.#halves;
    const half = at / 2;
    let end = at + factsBytes;
    const part = (index: number): string => {
      const from = end;
      end += halves[half + partsAt / 2 + index]!;
      return from === end ? '' : this.#bytes.toString('latin1', from, end);
    };
    return {
      endedAt: doubles[at / 8]! * 1000,
      bodyBytes: doubles[at / 8 + 1]!,
      durationMs: words[at / 4 + 5]!,
      status: halves[half + 12]!,
      versionMinor: halves[half + 13]!,
      isComplete: halves[half + 14]! !== 0,
      client: part(0),
      method: part(1),
      target: part(2),
      host: part(3),
      referer: part(4),
      userAgent: part(5),
    };
  }
}
