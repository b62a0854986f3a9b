/**
 * How an answer of lib/http.ts is given, and when the native side may give it again by itself.
 */
import { CachedFile } from '../io/file-cache';
import { native } from '../native';
import { handleOf } from '../resource';
import { invalidType, validateInteger, validateObject } from '../validate';
import type { NativeServer } from './native';

declare module '../native' {
  interface NativeAddon {
    /** The answer that comes may be repeated; `file` 0: none; `forMs` -1: without end. */
    httpPropose(
      server: NativeServer, slot: number, epoch: number, uses: number, file: number, forMs: number,
    ): void;
    httpForget(server: NativeServer): void;
  }
}

const allInterests = (1 << native.httpKnownHeaders().length) - 1;

/**
 * Says that an answer depends on nothing but what is named here, so that the server may give it to
 * other requests without asking the program. See {@link RespondOptions.repeat}.
 */
export interface AnswerRepeat {
  /**
   * Bits of {@link Interest}: every header that the decision has looked at, whether it was there or
   * not. Method, HTTP version and target always count.
   */
  readonly uses: number;
  /** A file on which the answer depends although it is not the one that is answered with. */
  readonly whileFresh?: CachedFile | undefined;
  /** For so long, in milliseconds. Default: for as long as the files are fresh. */
  readonly forMs?: number | undefined;
}

/** Options of one answer. */
export interface RespondOptions {
  /** End the connection after this answer. Default false; the request may want it all the same. */
  close?: boolean;
  /**
   * The server may give this answer again, without asking, to requests that are alike: as long as the
   * files that it depends on are fresh, and until `HttpServer.forgetAnswers`. It keeps some
   * 32,000 answers, with holds of its own on head and body. Only for `respond` and
   * `respondFile`; requests with bodies are always asked about.
   */
  repeat?: AnswerRepeat;
}

/** @internal */
export function proposeRepeat(
  server: NativeServer, slot: number, epoch: number, repeat: AnswerRepeat,
): void {
  validateObject(repeat, 'options.repeat');
  const { uses, whileFresh, forMs } = repeat;
  validateInteger(uses, 'options.repeat.uses', 0, allInterests);
  if (forMs !== undefined) validateInteger(forMs, 'options.repeat.forMs');
  if (whileFresh !== undefined && !(whileFresh instanceof CachedFile)) {
    throw invalidType('options.repeat.whileFresh', 'an instance of CachedFile', whileFresh);
  }
  const file = whileFresh === undefined ? 0 : handleOf(whileFresh);
  native.httpPropose(server, slot, epoch, uses, file, forMs ?? -1);
}
