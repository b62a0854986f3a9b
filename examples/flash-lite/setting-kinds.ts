// The kinds of settings: how one is written on the command line and in a configuration file, what
// is right (a JSON schema), and what it becomes.

import { resolve } from 'node:path';

import { parsePlace, type Place } from './place';

export type Schema = Readonly<Record<string, unknown>>;

export interface Setting<T> {
  name: string;      // `--name` on the command line, `name:` in a file.
  argument: string;  // As --help shows it; empty for a flag.
  help: string;
  fallback: T;
  schema: Schema;    // Of what a file says.
  expected: string;  // Completes "must be ..."; of a file, if it is written otherwise there, the next one.
  expectedInFile?: string;
  isFixed: boolean;  // Only a new start changes it.
  // What a file would say, from a text of the command line; undefined: not of that form at all.
  fromText: (text: string) => unknown;
  // From what the schema lets pass; relative paths are taken from `folder`.
  toValue: (raw: unknown, folder: string) => T;
  // For what may be given several times; else the last one wins.
  merge?: (first: T, second: T) => T;
  // What the command line says takes the place of what the file says all the same.
  isReplaced?: boolean;
}

// Requests whose path is `prefix`, or is below it, are for `path`: a program or a folder of programs,
// or the module of workers.
export interface CgiRoute {
  prefix: string;  // Begins with a slash and does not end with one.
  path: string;
}

type Common = Pick<Setting<unknown>, 'name' | 'argument' | 'help'>;

const kText: Schema = { type: 'string', minLength: 1 };

function asIs(text: string): unknown {
  return text;
}

// The setting again, as one that only a new start changes.
export function fixed<T>(setting: Setting<T>): Setting<T> {
  return { ...setting, isFixed: true };
}

// The setting again, without a default.
export function optional<T>(setting: Setting<T>): Setting<T | undefined> {
  return { ...(setting as Setting<T | undefined>), fallback: undefined };
}

export function text(common: Common, fallback: string): Setting<string> {
  return {
    ...common, fallback, schema: kText, expected: 'a text', isFixed: false, fromText: asIs,
    toValue: (raw) => raw as string,
  };
}

export function path(common: Common, fallback: string): Setting<string> {
  return {
    ...text(common, fallback), expected: 'a path',
    // `-` is a stream.
    toValue: (raw, folder) => (raw === '-' ? raw : resolve(folder, raw as string)),
  };
}

export function choice<T extends string>(
  common: Common, fallback: T, values: readonly T[],
): Setting<T> {
  return {
    ...common, fallback, schema: { enum: values }, expected: `one of ${values.join(', ')}`,
    isFixed: false, fromText: asIs, toValue: (raw) => raw as T,
  };
}

export function flag(common: Omit<Common, 'argument'>): Setting<boolean> {
  return {
    ...common, argument: '', fallback: false, schema: { type: 'boolean' },
    expected: 'true or false', isFixed: false, fromText: () => true,
    toValue: (raw) => raw as boolean,
  };
}

export function integer(
  common: Common, fallback: number, minimum: number, maximum: number,
): Setting<number> {
  return {
    ...common, fallback, schema: { type: 'integer', minimum, maximum },
    expected: `a number from ${minimum} to ${maximum}`, isFixed: false,
    fromText: (text) => (/^\d{1,15}$/.test(text) ? Number(text) : text),
    toValue: (raw) => raw as number,
  };
}

const kUnits = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

// Undefined for what is no size.
export function bytesOf(raw: unknown): number | undefined {
  if (typeof raw === 'number') return Number.isSafeInteger(raw) ? raw : undefined;
  const match = /^(\d{1,15})([KMG]?)$/i.exec(String(raw));
  if (match === null) return undefined;
  return Number(match[1]) * kUnits[(match[2] ?? '').toUpperCase() as keyof typeof kUnits];
}

function shortBytes(bytes: number): string {
  for (const [unit, size] of Object.entries(kUnits).reverse()) {
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return String(bytes);
}

function shownBytes(bytes: number): string {
  const short = shortBytes(bytes);
  return short === String(bytes) ? short : `${bytes} (${short})`;
}

// `byteSize` is a keyword of our own, which other validators pass over.
export function byteSize(
  common: Common, fallback: number, minimum: number, maximum: number,
): Setting<number> {
  return {
    ...common, fallback,
    schema: { type: ['integer', 'string'], byteSize: { minimum, maximum } },
    expected: `from ${shownBytes(minimum)} to ${shownBytes(maximum)} bytes, with K, M or G behind it ` +
      'if you like',
    isFixed: false, fromText: asIs, toValue: (raw) => bytesOf(raw) as number,
  };
}

export function texts(common: Common, fallback: readonly string[]): Setting<readonly string[]> {
  return {
    ...common, fallback, schema: { anyOf: [kText, { type: 'array', items: kText, minItems: 1 }] },
    expected: 'a text or a list of texts', isFixed: false, fromText: (given) => [given],
    toValue: (raw) => (Array.isArray(raw) ? raw as string[] : [raw as string]),
  };
}

const kPlaces = 'like 8080, 0.0.0.0:80, https://[::]:443, unix:/run/web.sock or fd:3';

// `listenPlace` is a keyword of our own, too.
export function places(common: Common): Setting<readonly Place[]> {
  const schema = { type: ['string', 'integer'], listenPlace: true };
  return {
    ...common, fallback: [], schema: { anyOf: [schema, { type: 'array', items: schema }] },
    expected: kPlaces, expectedInFile: `a text, or a list of texts, ${kPlaces}`, isFixed: false,
    fromText: asIs, toValue: (raw) => [raw].flat().map((each) => parsePlace(String(each)) as Place),
    merge: (first, second) => [...second, ...first], isReplaced: true,
  };
}

// Permission bits, as chmod takes them.
export function fileMode(common: Common): Setting<number | undefined> {
  return {
    ...common, fallback: undefined, schema: { type: 'string', pattern: '^0?[0-7]{3}$' },
    expected: 'three octal digits, like 660', isFixed: false, fromText: asIs,
    toValue: (raw) => parseInt(raw as string, 8),
  };
}

function mapSchema(keyPattern: string): Schema {
  return {
    type: 'object', propertyNames: { pattern: keyPattern },
    additionalProperties: { type: 'string' },
  };
}

// In a file: `/prefix: path`, line by line.
export function routes(common: Common): Setting<readonly CgiRoute[]> {
  return {
    ...common, fallback: [], schema: mapSchema('^/[^=]*$'), isFixed: false,
    expected: 'like /prefix=/path/of/program',
    expectedInFile: 'a mapping, like /prefix: /path/of/program',
    fromText(given) {
      const match = /^(\/[^=]*)=(.+)$/.exec(given);
      return match === null ? undefined : { [match[1] as string]: match[2] };
    },
    toValue: (raw, folder) => Object.entries(raw as Record<string, string>)
      .map(([prefix, target]) => ({
        prefix: prefix.replace(/\/+$/, ''), path: resolve(folder, target),
      })),
    merge: (first, second) => [...first, ...second],
  };
}

// In a file: `NAME: value`, line by line.
export function variables(common: Common): Setting<Readonly<Record<string, string>>> {
  return {
    ...common, fallback: {}, schema: mapSchema('^[^=]+$'), isFixed: false,
    expected: 'like NAME=VALUE', expectedInFile: 'a mapping to texts, like NAME: "value"',
    fromText(given) {
      const equals = given.indexOf('=');
      return equals < 1 ? undefined : { [given.slice(0, equals)]: given.slice(equals + 1) };
    },
    toValue: (raw) => raw as Record<string, string>,
    merge: (first, second) => ({ ...second, ...first }),
  };
}
