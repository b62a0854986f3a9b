// The settings of what is served from files, and their kinds.

import { kErrorStatuses } from './answers';
import { kOwnNames, type HeaderRule } from './header-rules';
import {
  byteSize, fixed, choice, flag, optional, text, texts, variables, type Schema, type Setting,
} from './setting-kinds';

type Common = Pick<Setting<unknown>, 'name' | 'argument' | 'help'>;

const kMebi = 2 ** 20;
const kToken = "[A-Za-z0-9!#$%&'*+.^_`|~-]+";
const kLine = '[\\t\\x20-\\x7e]+';
const kPattern = '(?:/[^=]*|[^/=: ]+)';
const kUrlPath: Schema = { type: 'string', pattern: '^/[^?#]*$' };

// JSON schemas have no patterns that ignore case.
const kAnyCase = (name: string): string =>
  name.replace(/[a-z]/g, (letter) => `[${letter}${letter.toUpperCase()}]`);
const kForbidden = [...kOwnNames].map(kAnyCase).join('|');
const kHeader = `^(?:${kPattern}=)?(?!(?:${kForbidden}):)${kToken}:[\\t ]*[\\x21-\\x7e][\\t\\x20-\\x7e]*$`;

// In a file: `KEY: value`, line by line. What is given later comes first.
function rules<T>(
  common: Common, example: readonly [key: string, value: string], keyPattern: string, value: Schema,
  toRule: (key: string, value: string) => T,
): Setting<readonly T[]> {
  const { fromText } = variables(common);
  return {
    ...common, fallback: [], isFixed: false, fromText,
    expected: `like "${example.join('=')}"`, expectedInFile: `a mapping, like "${example[0]}": ${example[1]}`,
    schema: {
      type: 'object', propertyNames: { pattern: keyPattern }, additionalProperties: value,
    },
    toValue: (raw) => Object.entries(raw as Record<string, string>).reverse()
      .map(([key, given]) => toRule(key, given)),
    merge: (first, second) => [...first, ...second],
  };
}

function headerOf(line: string): HeaderRule {
  const match = new RegExp(`^(?:(${kPattern})=)?(${kToken}):[\\t ]*(.*)$`).exec(line);
  const [, pattern = '', name = '', value = ''] = match ?? [];
  return { pattern, name, value: value.trimEnd() };
}

const kHeaders = 'like "NAME: VALUE" or "PATTERN=NAME: VALUE", of a header that is not the server\'s own';

function headers(common: Common): Setting<readonly HeaderRule[]> {
  const line = { type: 'string', pattern: kHeader };
  return {
    ...common, fallback: [], isFixed: false,
    expected: kHeaders, expectedInFile: `a text, or a list of texts, ${kHeaders}`,
    schema: { anyOf: [line, { type: 'array', items: line }] },
    fromText: (given) => given,
    toValue: (raw) => [raw as string | string[]].flat().reverse().map(headerOf),
    merge: (first, second) => [...first, ...second],
  };
}

function urlPath(common: Common): Setting<string> {
  return { ...text(common, ''), schema: kUrlPath, expected: 'like /path/of/page.html' };
}

function names(common: Common, fallback: readonly string[]): Setting<readonly string[]> {
  const name = { type: 'string', pattern: '^[^/.\\x00][^/\\x00]*$' };
  return {
    ...texts(common, fallback),
    schema: { type: 'array', items: name },
    expected: 'names of files with commas between them', expectedInFile: 'a list of names of files',
    fromText: (given) => given.split(','),
  };
}

export const kFileSettings = {
  indexFiles: names({
    name: 'index', argument: 'NAMES',
    help: 'what is served for a directory, the first that is there; with commas between them ' +
      '(default: index.html)',
  }, ['index.html']),
  dotfiles: choice({
    name: 'dotfiles', argument: 'POLICY',
    help: 'names that begin with a dot: ignore (404, the default), deny (403) or allow; ' +
      '/.well-known/ is always served',
  }, 'ignore', ['ignore', 'deny', 'allow']),
  symlinks: choice({
    name: 'symlinks', argument: 'POLICY',
    help: 'symbolic links are followed inside the root (the default), none at all, or any',
  }, 'inside', ['inside', 'none', 'any']),
  cacheControl: rules({
    name: 'cache-control', argument: 'PATTERN=VALUE',
    help: 'Cache-Control for files: a pattern with a slash before it is for paths (/assets/**), any ' +
      'other for names (*.html); several are allowed, the last that matches wins',
  }, ['/assets/**', 'max-age=3600'], `^${kPattern}$`, { type: 'string', pattern: `^${kLine}$` },
  (pattern, value): HeaderRule => ({ pattern, name: 'Cache-Control', value })),
  headers: headers({
    name: 'header', argument: 'HEADER',
    help: '"NAME: VALUE" for every answer, or "PATTERN=NAME: VALUE" for files; several are allowed',
  }),
  types: rules({
    name: 'type', argument: 'EXT=TYPE', help: 'Content-Type of files whose names end so',
  }, ['geojson', 'application/geo+json'], '^\\.?[^./=]+$',
  { type: 'string', pattern: `^${kToken}/${kToken}(?:; ?${kToken}=${kToken})*$` },
  (extension, type) => ({ extension: extension.replace('.', '').toLowerCase(), type })),
  errorPages: rules({
    name: 'error-page', argument: 'STATUS=PATH',
    help: `a page below the root for ${kErrorStatuses.join(', ')}`,
  }, ['404', '/404.html'], `^(?:${kErrorStatuses.join('|')})$`, kUrlPath,
  (status, path) => ({ status: Number(status), path })),
  fallback: optional(urlPath({
    name: 'fallback', argument: 'PATH',
    help: 'what is served, with 200, for a path that has no dot in its last name and is not there, or is ' +
      'a directory without index and listing: the page of an application that has its own routes',
  })),
  compressBytes: fixed(byteSize({
    name: 'compress-bytes', argument: 'N',
    help: 'memory for files that are compressed here, like --cache-bytes; what does not fit is sent as it ' +
      'is; 0: none is (default: 32M)',
  }, 32 * kMebi, 0, 2 ** 40)),
  ignoresPrecompressed: flag({
    name: 'no-precompressed', help: 'do not send the .br, .zst or .gz beside a file in its place',
  }),
};
