// Header lines that the operator adds, to every answer or to those of certain files.

import { validateHeaderName, validateHeaderValue } from 'node:http';

import picomatch from 'picomatch';

import type { Fields } from './answers';

export interface HeaderRule {
  pattern: string;  // Empty: every answer. From a slash on: the path below the root; else its last name.
  name: string;
  value: string;
}

// What frames a message is nobody's but the server's.
const kOwnNames = new Set([
  'connection', 'content-encoding', 'content-length', 'content-range', 'date', 'etag',
  'keep-alive', 'last-modified', 'trailer', 'transfer-encoding', 'upgrade',
]);

// Undefined when it may be sent, else why not.
export function problemOfHeader(name: string, value: string): string | undefined {
  try {
    validateHeaderName(name);
    validateHeaderValue(name, value);
  } catch {
    return 'is no header line';
  }
  return kOwnNames.has(name.toLowerCase()) ? 'is set by the server itself' : undefined;
}

interface CompiledRule extends HeaderRule {
  matches: (path: string) => boolean;
}

export class HeaderRules {
  readonly always: Fields;
  readonly #rules: CompiledRule[];

  constructor(rules: readonly HeaderRule[]) {
    this.#rules = rules.map((rule) => ({ ...rule, matches: matcherOf(rule.pattern) }));
    this.always = firstOfEach(this.#rules.filter(({ pattern }) => pattern === ''));
  }

  // Of each name the first rule that matches. `path` begins with a slash.
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
  const seen = new Set<string>();
  for (const { name, value } of rules) {
    if (seen.has(name.toLowerCase())) continue;
    seen.add(name.toLowerCase());
    fields[name] = value;
  }
  return fields;
}
