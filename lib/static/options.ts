/**
 * The options of io-lite/static, by the names of the packages that it stands in for.
 */
import { resolve } from 'node:path';

import { FileCache } from '../io/file-cache';
import { invalidType } from '../validate';

/** Options of {@link send}, as in the package `send`. */
export interface SendOptions {
  /** Offer and answer ranges. Default true. */
  acceptRanges?: boolean | undefined;
  /** Where files are cached. Default: `FileCache.default()`. */
  cache?: FileCache | undefined;
  /** Send Cache-Control. Default true. */
  cacheControl?: boolean | undefined;
  /** Names that begin with a dot: 404 (`ignore`, the default), 403 or like any other. */
  dotfiles?: 'allow' | 'deny' | 'ignore' | undefined;
  /** The last byte, as in `fs.createReadStream`. */
  end?: number | undefined;
  /** Send ETag. Default true. */
  etag?: boolean | undefined;
  /** Tried, in this order, when a name without one is not there: `['html']`. Default: none. */
  extensions?: string | readonly string[] | false | undefined;
  /** Add `immutable` to Cache-Control. Default false. */
  immutable?: boolean | undefined;
  /** Of a directory. Default `index.html`; false: none. */
  index?: string | readonly string[] | boolean | undefined;
  /** Send Last-Modified. Default true. */
  lastModified?: boolean | undefined;
  /** Of Cache-Control, in ms or as `'1d'`, `'2 hours'`; at most a year. Default 0. */
  maxAge?: number | string | undefined;
  /** The same as maxAge. */
  maxage?: number | string | undefined;
  /** A folder that nothing outside of is sent from; symbolic links are followed. */
  root?: string | undefined;
  /** The first byte. Default 0. */
  start?: number | undefined;
}

/** @internal */
export interface CheckedSendOptions {
  readonly acceptRanges: boolean;
  readonly cache: FileCache;
  readonly cacheControl: boolean;
  readonly dotfiles: 'allow' | 'deny' | 'ignore';
  readonly end: number;
  readonly etag: boolean;
  readonly extensions: readonly string[];
  readonly immutable: boolean;
  readonly index: readonly string[];
  readonly lastModified: boolean;
  readonly maxAgeMs: number;
  readonly root: string | undefined;
  readonly start: number;
}

const maxAgeMsMax = 365 * 24 * 3600 * 1000;

const unitsMs: Record<string, number> = {
  ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000, y: 31_557_600_000,
};
const unitOf = /^(-?[\d.]+) *(milliseconds?|msecs?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|w|years?|yrs?|y)?$/i;

/** `'1 day'` in ms; NaN for what is no time. */
function timeMsOf(text: string): number {
  const match = unitOf.exec(text);
  if (match === null) return NaN;
  const unit = (match[2] ?? 'ms').toLowerCase();
  const short = /^(?:ms|milli|msec)/.test(unit) ? 'ms' : unit.charAt(0);
  return Number(match[1]) * unitsMs[short]!;
}

function listOf(value: unknown, name: string): string[] {
  const list: unknown[] = Array.isArray(value) ? value : value ? [value] : [];
  if (!list.every((each) => typeof each === 'string')) {
    throw new TypeError(`${name} option must be array of strings or false`);
  }
  return list;
}

/** @internal */
export function checkSendOptions(options: SendOptions): CheckedSendOptions {
  const { dotfiles = 'ignore', root, cache, start, end, extensions, index = 'index.html' } = options;
  if (!['allow', 'deny', 'ignore'].includes(dotfiles)) {
    throw new TypeError('dotfiles option must be "allow", "deny", or "ignore"');
  }
  if (cache !== undefined && !(cache instanceof FileCache)) {
    throw invalidType('options.cache', 'an instance of FileCache', cache);
  }
  const age = options.maxAge || options.maxage;
  const ageMs = typeof age === 'string' ? timeMsOf(age) : Number(age);
  return {
    acceptRanges: options.acceptRanges ?? true,
    cache: cache ?? FileCache.default(),
    cacheControl: options.cacheControl ?? true,
    dotfiles,
    end: end ?? Infinity,
    etag: options.etag ?? true,
    extensions: listOf(extensions, 'extensions'),
    immutable: options.immutable ?? false,
    index: listOf(index, 'index'),
    lastModified: options.lastModified ?? true,
    maxAgeMs: Number.isNaN(ageMs) ? 0 : Math.min(Math.max(0, ageMs), maxAgeMsMax),
    root: root ? resolve(root) : undefined,
    start: start ?? 0,
  };
}
