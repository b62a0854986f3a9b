// The command line: text in, checked options out. Knows nothing of files or sockets.

import { resolve } from 'node:path';

export interface Options {
  root: string | undefined;
  host: string;
  port: number;
  cacheBytes: number;
  hasListing: boolean;
  hasStatus: boolean;
  bodyBytesMax: number;
  cgi: CgiRoute[];
  apps: CgiRoute[];
  appWorkers: number;
  cgiTimeoutMs: number;
  cgiProgramsMax: number;
  environment: Record<string, string>;
}

// Requests whose path is `prefix`, or is below it, are for `path`: a program or a folder of programs,
// or the module of workers.
export interface CgiRoute {
  prefix: string;  // Begins with a slash and does not end with one.
  path: string;
}

export type CommandLine =
  | { kind: 'serve'; options: Options }
  | { kind: 'help' }
  | { kind: 'version' }
  | { kind: 'wrong'; message: string };

export const kCacheBytesMin = 1 << 20;
export const kCacheBytesMax = 2 ** 40;

export const kHelp = `Usage: flash-lite [options]

Serves the files below a directory. Each byte is read once into the window and sent from there.

  --root DIR         what to serve (default: the documentation of io-lite)
  --host ADDRESS     where to listen (default: 127.0.0.1; 0.0.0.0 or :: for every address)
  --port N           0 to 65535 (default: 8080; 0 lets the system choose)
  --cache-bytes N    memory for file contents, 1M to 1024G, in bytes or with K, M or G behind it
                     (powers of 1024; default: 256M)
  --listing          list directories that have no index.html
  --status           answer /.flash-lite/status with counters, as JSON
  --cgi PREFIX=PATH  answer requests below PREFIX by a CGI program, or by those in a folder; several
                     are allowed, the longest prefix wins
  --app PREFIX=MODULE   answer requests below PREFIX by workers that run this module (io-lite/cgi)
  --app-workers N    of each module, 1 to 256 (default: 1)
  --env NAME=VALUE   a variable for programs and workers; several are allowed
  --cgi-timeout-ms N how long a program or worker may do nothing (default: 60000)
  --cgi-max N        programs at a time, 1 to 10000 (default: 64); four times as many wait
  --body-max-bytes N of a request, like --cache-bytes (default: 64M)
  --help             print this and exit
  --version          print the version and exit

SIGTERM and SIGINT stop it: what is being sent is finished (for 10 seconds at most).
`;

class WrongOption extends Error {}

export function parseCommandLine(argv: readonly string[]): CommandLine {
  try {
    return parse(argv);
  } catch (error) {
    if (error instanceof WrongOption) return { kind: 'wrong', message: error.message };
    throw error;
  }
}

function parse(argv: readonly string[]): CommandLine {
  const options: Options = {
    root: undefined,
    host: '127.0.0.1',
    port: 8080,
    cacheBytes: 256 << 20,
    hasListing: false,
    hasStatus: false,
    bodyBytesMax: 64 << 20,
    cgi: [],
    apps: [],
    appWorkers: 1,
    cgiTimeoutMs: 60_000,
    cgiProgramsMax: 64,
    environment: {},
  };
  let asked: 'help' | 'version' | undefined;
  const rest = [...argv];
  while (rest.length > 0) {
    const argument = rest.shift() as string;
    const equals = argument.startsWith('--') ? argument.indexOf('=') : -1;
    const name = equals < 0 ? argument : argument.slice(0, equals);
    const given = equals < 0 ? undefined : argument.slice(equals + 1);
    const value = (): string => valueOf(name, given, rest);
    const flag = (): true => flagOf(name, given);
    switch (name) {
      case '--root': options.root = nonEmpty(name, value()); break;
      case '--host': options.host = nonEmpty(name, value()); break;
      case '--port': options.port = parsePort(value()); break;
      case '--cache-bytes': options.cacheBytes = parseBytes(name, value()); break;
      case '--body-max-bytes': options.bodyBytesMax = parseBytes(name, value()); break;
      case '--cgi': options.cgi.push(parseRoute(name, value())); break;
      case '--app': options.apps.push(parseRoute(name, value())); break;
      case '--app-workers': options.appWorkers = parseNumber(name, value(), 256); break;
      case '--cgi-timeout-ms': options.cgiTimeoutMs = parseNumber(name, value(), 86_400_000); break;
      case '--cgi-max': options.cgiProgramsMax = parseNumber(name, value(), 10_000); break;
      case '--env': Object.assign(options.environment, parseVariable(value())); break;
      case '--listing': options.hasListing = flag(); break;
      case '--status': options.hasStatus = flag(); break;
      case '--help': flag(); asked ??= 'help'; break;
      case '--version': flag(); asked ??= 'version'; break;
      default: throw new WrongOption(
        name.startsWith('-') ? `unknown option ${name}` : `unexpected argument "${name}"`);
    }
  }
  return asked === undefined ? { kind: 'serve', options } : { kind: asked };
}

function valueOf(name: string, given: string | undefined, rest: string[]): string {
  const value = given ?? rest.shift();
  if (value === undefined || (given === undefined && value.startsWith('--'))) {
    throw new WrongOption(`option ${name} needs a value`);
  }
  return value;
}

function flagOf(name: string, given: string | undefined): true {
  if (given !== undefined) throw new WrongOption(`option ${name} takes no value`);
  return true;
}

function nonEmpty(name: string, value: string): string {
  if (value === '') throw new WrongOption(`option ${name} needs a value`);
  return value;
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : NaN;
  if (!(port <= 65535)) {
    throw new WrongOption(`--port must be a number from 0 to 65535, not "${text}"`);
  }
  return port;
}

const kUnits = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

function parseNumber(name: string, text: string, maximum: number): number {
  const number = /^\d{1,8}$/.test(text) ? Number(text) : NaN;
  if (!(number >= 1 && number <= maximum)) {
    throw new WrongOption(`${name} must be a number from 1 to ${maximum}, not "${text}"`);
  }
  return number;
}

function parseRoute(name: string, text: string): CgiRoute {
  const match = /^(\/[^=]*?)\/*=(.+)$/.exec(text);
  if (match === null) {
    throw new WrongOption(`${name} must be like /prefix=/path/of/program, not "${text}"`);
  }
  const [, prefix = '', path = ''] = match;
  return { prefix: prefix === '/' ? '' : prefix, path: resolve(path) };
}

function parseVariable(text: string): Record<string, string> {
  const equals = text.indexOf('=');
  if (equals < 1) throw new WrongOption(`--env must be like NAME=VALUE, not "${text}"`);
  return { [text.slice(0, equals)]: text.slice(equals + 1) };
}

function parseBytes(name: string, text: string): number {
  const match = /^(\d{1,15})([KMG]?)$/i.exec(text);
  const unit = kUnits[(match?.[2] ?? '').toUpperCase() as keyof typeof kUnits];
  const bytes = match === null ? NaN : Number(match[1]) * unit;
  if (!(bytes >= kCacheBytesMin && bytes <= kCacheBytesMax)) {
    throw new WrongOption(
      `${name} must be from ${kCacheBytesMin} (1M) to ${kCacheBytesMax} (1024G) bytes, ` +
      `with K, M or G behind it if you like, not "${text}"`);
  }
  return bytes;
}
