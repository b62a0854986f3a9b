/**
 * The request head parser by itself: bytes of a connection in, heads out.
 */
import { Aggregate } from '../aggregate/aggregate';
import { IolError } from '../errors';
import { native } from '../native';
import { handleOf } from '../resource';
import { invalidType, validateInteger, validateObject } from '../validate';

declare const parserBrand: unique symbol;
/** A native parser; see wrap_http_parser.cc. */
interface NativeParser { readonly [parserBrand]: true }

declare module '../native' {
  interface NativeAddon {
    headParserCreate(headBytesMax: number, targetBytesMax: number, fieldsMax: number): NativeParser;
    headParserReset(parser: NativeParser): void;
    /** See wrap_http_parser.cc for what scratch says. */
    headParse(parser: NativeParser, bytes: number): string[] | undefined;
  }
}

/** Bounds of a {@link HttpHeadParser}. */
export interface HttpHeadLimits {
  /** Of a head, the empty line included; more is 431. Default 16 KiB, at most 64 KiB. */
  headBytesMax?: number;
  /** Of a target; more is 414. Default 8 KiB. */
  targetBytesMax?: number;
  /** Header lines; more is 431. Default and maximum 100. */
  headerFieldsMax?: number;
}

const targetForms = ['origin', 'absolute', 'authority', 'asterisk'] as const;
const expectations = [undefined, '100-continue', 'unknown'] as const;

/** One request's head. All text is as it was received, one character a byte. */
export interface HttpRequestHead {
  readonly method: string;
  readonly target: string;
  /** Of the target: RFC 9112 section 3.2. */
  readonly targetForm: (typeof targetForms)[number];
  /** Of an absolute or authority target, else the value of Host. */
  readonly authority: string;
  /** Not decoded. */
  readonly path: string;
  /** Without the question mark. */
  readonly query: string;
  /** 0 or 1, of HTTP/1.x. */
  readonly versionMinor: number;
  /** Names and values in turn. */
  readonly rawHeaders: readonly string[];
  /** Whether the client wants another answer on this connection. */
  readonly isKeepAlive: boolean;
  /** The body is chunked; else it has `contentLength` bytes. Never both: that is refused. */
  readonly isChunked: boolean;
  /** Without the header, 0. Exact up to 2^53. */
  readonly contentLength: number;
  /** What Expect asks for; answer `'unknown'` with 417. */
  readonly expectation: (typeof expectations)[number];
  /** Of the head, which was taken from the bytes. */
  readonly byteLength: number;
}

/**
 * The strict parser that {@link HttpServer} reads heads with. It looks at each byte once, however they
 * arrive, and holds nothing: the bytes are the caller's.
 *
 * @example
 * ```ts
 * const parser = new HttpHeadParser();
 * const received = Aggregate.empty();
 * for (let part = await iolRead(socket, 65536); part !== null; part = await iolRead(socket, 65536)) {
 *   received.append(part);
 *   part.dispose();
 *   for (let head = parser.parse(received); head !== null; head = parser.parse(received)) answer(head);
 * }
 * ```
 */
export class HttpHeadParser {
  readonly #parser: NativeParser;

  constructor(limits: HttpHeadLimits = {}) {
    validateObject(limits, 'limits');
    const { headBytesMax = 16 << 10, targetBytesMax = 8 << 10, headerFieldsMax = 100 } = limits;
    validateInteger(headBytesMax, 'limits.headBytesMax', 256, 64 << 10);
    validateInteger(targetBytesMax, 'limits.targetBytesMax', 1, 64 << 10);
    validateInteger(headerFieldsMax, 'limits.headerFieldsMax', 1, 100);
    this.#parser = native.headParserCreate(headBytesMax, targetBytesMax, headerFieldsMax);
  }

  /**
   * The head that `received` begins with, which is then removed from it: what is left is its body, or the
   * next head. Null while bytes are missing: append them and call again. `received` is all that was
   * received and not taken; between two calls only append to it, or {@link reset}.
   *
   * @throws {IolError} `ERR_IOL_BAD_HEAD`, with the `status` that answers it and the `reason`; again each
   * time, until {@link reset}. `ERR_IOL_CLOSED` for bytes that were released.
   * @remarks No payload is copied but the strings (reason `head`). Bytes of another domain are copied first
   * (`untrusted`) and looked at anew in each call.
   */
  parse(received: Aggregate): HttpRequestHead | null {
    if (!(received instanceof Aggregate)) {
      throw invalidType('received', 'an instance of Aggregate', received);
    }
    const texts = native.headParse(this.#parser, handleOf(received));
    const { scratch } = native;
    if (scratch[0] === 1) return null;
    if (scratch[0] === 2) {
      const [reason = '', text = ''] = texts!;
      throw new IolError('ERR_IOL_BAD_HEAD', `The request head is refused: ${text}`,
        { reason, status: scratch[1]! });
    }
    const [method, target, authority, path, query, ...rawHeaders] = texts as
      [string, string, string, string, string, ...string[]];
    const head: HttpRequestHead = {
      method, target, targetForm: targetForms[scratch[3]!]!, authority, path, query,
      versionMinor: scratch[2]!, rawHeaders, isKeepAlive: scratch[4] === 1,
      isChunked: scratch[5] === 1, contentLength: Math.max(0, scratch[6]!),
      expectation: expectations[scratch[7]!], byteLength: scratch[1]!,
    };
    received.consume(head.byteLength);
    return head;
  }

  /** Forgets an unfinished or refused head: the next bytes begin another connection. */
  reset(): void {
    native.headParserReset(this.#parser);
  }
}
