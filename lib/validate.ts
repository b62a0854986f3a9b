/**
 * Argument checks. Their errors have Node's own codes, classes and wording, because they are the
 * caller's mistakes and not the library's state.
 */
import { inspect, types } from 'node:util';

const { isUint8Array } = types;

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'function') return `function ${value.name}`;
  if (typeof value === 'object') {
    const name = (value.constructor as { name?: string } | undefined)?.name;
    return name ? `an instance of ${name}` : inspect(value, { depth: -1 });
  }
  const text = inspect(value, { colors: false });
  return `type ${typeof value} (${text.length > 28 ? `${text.slice(0, 25)}...` : text})`;
}

/** `ERR_INVALID_ARG_TYPE`: `expected` completes "must be …". */
export function invalidType(name: string, expected: string, value: unknown): TypeError {
  const message = `The "${name}" argument must be ${expected}. Received ${describe(value)}`;
  return Object.assign(new TypeError(message), { code: 'ERR_INVALID_ARG_TYPE' });
}

/** `ERR_INVALID_ARG_VALUE`. */
export function invalidValue(name: string, reason: string, value: unknown): TypeError {
  const message = `The "${name}" argument ${reason}. Received ${inspect(value, { depth: 0 })}`;
  return Object.assign(new TypeError(message), { code: 'ERR_INVALID_ARG_VALUE' });
}

/** `ERR_OUT_OF_RANGE`. */
export function outOfRange(name: string, range: string, value: unknown): RangeError {
  const message = `The value of "${name}" is out of range. It must be ${range}. Received ${String(value)}`;
  return Object.assign(new RangeError(message), { code: 'ERR_OUT_OF_RANGE' });
}

/** `ERR_ILLEGAL_CONSTRUCTOR`: made by somebody else, never by `new`. */
export function illegalConstructor(): TypeError {
  return Object.assign(new TypeError('Illegal constructor'), { code: 'ERR_ILLEGAL_CONSTRUCTOR' });
}

/** An integer from `minimum` to `maximum`, both allowed. */
export function validateInteger(
  value: unknown,
  name: string,
  minimum = 0,
  maximum: number = Number.MAX_SAFE_INTEGER,
): asserts value is number {
  if (typeof value !== 'number') throw invalidType(name, 'of type number', value);
  if (!Number.isInteger(value)) throw outOfRange(name, 'an integer', value);
  if (value < minimum || value > maximum) {
    throw outOfRange(name, `>= ${minimum} && <= ${maximum}`, value);
  }
}

export function validateString(value: unknown, name: string): asserts value is string {
  if (typeof value !== 'string') throw invalidType(name, 'of type string', value);
}

export function validateBoolean(value: unknown, name: string): asserts value is boolean {
  if (typeof value !== 'boolean') throw invalidType(name, 'of type boolean', value);
}

export function validateFunction(value: unknown, name: string): asserts value is (...args: never) => unknown {
  if (typeof value !== 'function') throw invalidType(name, 'of type function', value);
}

export function validateObject(value: unknown, name: string): asserts value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidType(name, 'of type object', value);
  }
}

export function validateOneOf<T extends string>(
  value: unknown,
  name: string,
  choices: readonly T[],
): asserts value is T {
  if (!choices.includes(value as T)) {
    throw invalidValue(name, `must be one of: ${choices.map((c) => `'${c}'`).join(', ')}`, value);
  }
}

/** A real `Uint8Array`. Why not `instanceof`: any object may have its prototype. */
export function validateBytes(
  value: unknown,
  name: string,
  expected = 'an instance of Uint8Array',
): asserts value is Uint8Array {
  if (!isUint8Array(value)) throw invalidType(name, expected, value);
}

const typedArrayPrototype = Object.getPrototypeOf(Uint8Array.prototype) as object;
// Why no Reflect.get(), which reads better: the engine inlines this one.
// eslint-disable-next-line @typescript-eslint/unbound-method -- It is called with its object.
const byteLengthGetter = Object.getOwnPropertyDescriptor(typedArrayPrototype, 'byteLength')!
  .get as (this: Uint8Array) => number;

/** How many bytes there are, also of an array whose `byteLength` says something else. */
export function byteLengthOf(bytes: Uint8Array): number {
  return byteLengthGetter.call(bytes);
}

export function validateAbortSignal(
  value: unknown,
  name: string,
): asserts value is AbortSignal | undefined {
  if (value !== undefined && !(value instanceof AbortSignal)) {
    throw invalidType(name, 'an instance of AbortSignal', value);
  }
}
