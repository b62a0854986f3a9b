/**
 * What a caller may give where bytes are wanted, and how it crosses into the addon.
 */
import { types } from 'node:util';

import { defaultPoolHandle, native } from '../native';
import { handleOf } from '../resource';
import { invalidType, outOfRange, validateBytes, validateInteger, validateString } from '../validate';
import { encodingCode, nodes, utf8 } from './encodings';
import { HeldBytes } from './held-bytes';

const { isUint8Array } = types;

const {
  aggregateAppend, aggregateAppendBytes, aggregateAppendString, aggregateClone, aggregateConcat,
  aggregateDispose, aggregateEmpty, aggregateFromBytes, aggregateFromString, scratch,
} = native;

/** Whatever has or becomes bytes in the window. Strings and arrays are copied in, the rest is shared. */
export type BytesLike = HeldBytes | string | Uint8Array;

/** One part, or several: an array, or any other iterable of them. */
export type BytesParts = BytesLike | Iterable<BytesLike>;

/** So many the addon joins in one call. */
const concatMax = 16;

const expected = 'of type string or an instance of Uint8Array, IolBuffer, or Aggregate';

export function isBytesLike(value: unknown): value is BytesLike {
  return typeof value === 'string' || value instanceof HeldBytes || isUint8Array(value);
}

export function checkBytesLike(value: unknown, name: string): asserts value is BytesLike {
  if (!isBytesLike(value)) throw invalidType(name, expected, value);
}

/** A new native aggregate of text; its length is in scratch[0]. */
export function handleFromText(text: string, encoding?: BufferEncoding): number {
  validateString(text, 'text');
  const code = encodingCode(encoding);
  return code === nodes
    ? aggregateFromBytes(defaultPoolHandle, Buffer.from(text, encoding))
    : aggregateFromString(defaultPoolHandle, text, code);
}

/** A new native aggregate of one string or array; its length is in scratch[0]. */
export function handleFromHeap(value: string | Uint8Array): number {
  return typeof value === 'string'
    ? aggregateFromString(defaultPoolHandle, value, utf8)
    : aggregateFromBytes(defaultPoolHandle, value);
}

/** Whether it has parts, instead of being one: what has a `byteLength` is iterable, too. */
function isList(value: BytesParts): value is Iterable<BytesLike> {
  if (Array.isArray(value)) return true;
  if (typeof value !== 'object' || value === null) return false;
  return Symbol.iterator in value && !('byteLength' in value);
}

/** `parts` with arrays and other iterables of bytes laid out, each checked. */
function flatten(parts: readonly BytesParts[], name: string): BytesLike[] {
  const flat: BytesLike[] = [];
  for (const [i, part] of parts.entries()) {
    if (isBytesLike(part)) {
      flat.push(part);
      continue;
    }
    for (const item of itemsOf(part, `${name}[${i}]`)) flat.push(item);
  }
  return flat;
}

function itemsOf(list: BytesParts, name: string): BytesLike[] {
  if (!isList(list)) throw invalidType(name, expected, list);
  const items: BytesLike[] = [];
  for (const item of list) {
    checkBytesLike(item, `${name}[${items.length}]`);
    items.push(item);
  }
  return items;
}

/** Joins one part to a native aggregate, whose length is in scratch[0] afterwards. */
export function appendPart(handle: number, part: BytesLike): void {
  if (typeof part === 'string') aggregateAppendString(handle, defaultPoolHandle, part, utf8);
  else if (part instanceof HeldBytes) aggregateAppend(handle, handleOf(part));
  else aggregateAppendBytes(handle, defaultPoolHandle, part);
}

/** A new native aggregate of all parts, or of none: its length is in scratch[0]. */
export function handleFromParts(parts: readonly BytesParts[], name: string): number {
  const [first] = parts;
  if (parts.length === 0) return aggregateEmpty();
  if (parts.length === 1 && isBytesLike(first)) {
    return first instanceof HeldBytes ? aggregateClone(handleOf(first)) : handleFromHeap(first);
  }
  const areHeld = parts.length <= concatMax && parts.every((part) => part instanceof HeldBytes);
  if (areHeld) return aggregateConcat(...(parts as HeldBytes[]).map(handleOf));
  const flat = flatten(parts, name);
  const joined = aggregateEmpty();
  try {
    scratch[0] = 0;
    for (const part of flat) appendPart(joined, part);
  } catch (error) {
    aggregateDispose(joined);
    throw error;
  }
  return joined;
}

/** The same of what one chunk of a source has, which errors call `name`. */
export function handleFromList(list: BytesParts, name: string): number {
  return handleFromParts(itemsOf(list, name), name);
}

/** Calls `edit` with a native aggregate of all parts, which ends afterwards when it is none of theirs. */
export function withParts(
  parts: readonly BytesParts[],
  name: string,
  edit: (handle: number) => void,
): void {
  const [first] = parts;
  if (parts.length === 1 && first instanceof HeldBytes) return edit(handleOf(first));
  const own = handleFromParts(parts, name);
  try {
    edit(own);
  } finally {
    aggregateDispose(own);
  }
}

/** What is searched for or compared with, as the addon takes it: kinds 0 to 2 are text encodings. */
export interface Needle {
  kind: number;
  value: string | Uint8Array | number;
}
const arrayKind = 3;
const byteKind = 4;
const heldKind = 5;

/** One object for all calls, used up before the next one. */
const needle: Needle = { kind: 0, value: '' };

/** `value` as a needle; `name` is that of the argument. */
export function needleOf(value: unknown, encoding: BufferEncoding | undefined, name: string): Needle {
  if (typeof value === 'string') {
    const code = encodingCode(encoding);
    needle.kind = code === nodes ? arrayKind : code;
    needle.value = code === nodes ? Buffer.from(value, encoding) : value;
    return needle;
  }
  if (value instanceof HeldBytes) {
    needle.kind = heldKind;
    needle.value = handleOf(value);
    return needle;
  }
  validateBytes(value, name, expected);
  needle.kind = arrayKind;
  needle.value = value;
  return needle;
}

/** The same, of which a number is one byte. */
export function needleOrByte(
  value: unknown,
  encoding: BufferEncoding | undefined,
  name: string,
): Needle {
  if (typeof value !== 'number') return needleOf(value, encoding, name);
  validateInteger(value, name, 0, 255);
  needle.kind = byteKind;
  needle.value = value;
  return needle;
}

/**
 * A place as `Buffer.prototype.slice` takes it: negative ones count from the end, and those outside
 * are moved to the nearest end.
 */
export function placeOf(
  place: number | undefined,
  name: string,
  byteLength: number,
  otherwise: number,
): number {
  if (place === undefined) return otherwise;
  if (typeof place !== 'number') throw invalidType(name, 'of type number', place);
  if (Number.isNaN(place) || !(Number.isInteger(place) || Math.abs(place) === Infinity)) {
    throw outOfRange(name, 'an integer', place);
  }
  return place < 0 ? Math.max(0, place + byteLength) : Math.min(place, byteLength);
}
