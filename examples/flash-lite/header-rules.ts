// Header lines that the operator adds, to every answer or to those of certain files.

import picomatch from 'picomatch';

import type { Fields } from './answers';

export interface HeaderRule {
  pattern: string;  // Empty: every answer. From a slash on: the path below the root; else its last name.
  name: string;
  value: string;
}

// What frames a message is nobody's but the server's.
export const kOwnNames: ReadonlySet<string> = new Set([
  'accept-ranges', 'connection', 'content-encoding', 'content-length', 'content-range',
  'content-type', 'date', 'etag', 'keep-alive', 'last-modified', 'location', 'trailer',
  'transfer-encoding', 'upgrade', 'vary',
]);

interface CompiledRule extends HeaderRule {
  matches: (path: string) => boolean;
}

export class HeaderRules {
  readonly always: Fields;
  readonly #rules: CompiledRule[];

  // Of each name the first rule that matches counts.
  constructor(rules: readonly HeaderRule[]) {
    this.#rules = rules.map(({ pattern, name, value }) =>
      ({ pattern, name: inCapitals(name), value, matches: matcherOf(pattern) }));
    this.always = firstOfEach(this.#rules.filter(({ pattern }) => pattern === ''));
  }

  // `path` begins with a slash.
  fieldsFor(path: string): Fields {
    return firstOfEach(this.#rules.filter(({ matches }) => matches(path)));
  }
}

function matcherOf(pattern: string): (path: string) => boolean {
  if (pattern === '') return () => true;
  const isMatch = picomatch(pattern, { dot: true });
  if (pattern.startsWith('/')) return (path) => isMatch(path);
  return (path) => isMatch(path.slice(path.lastIndexOf('/') + 1));
}

function firstOfEach(rules: readonly HeaderRule[]): Fields {
  const fields: Fields = {};
  for (const { name, value } of rules) fields[name] ??= value;
  return fields;
}

// However a name is spelled, it is one field.
function inCapitals(name: string): string {
  return name.toLowerCase().replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());
}
