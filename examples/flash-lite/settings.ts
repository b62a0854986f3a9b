// Every setting, once: the command line, the configuration file, its schema, --help and the README
// are made of this table.

import { kLogFormats } from './access-log';
import { kFileSettings } from './file-settings';
import {
  byteSize, choice, fileMode, fixed, flag, integer, optional, path, places, routes, text, variables,
  type Schema, type Setting,
} from './setting-kinds';

export type { CgiRoute } from './setting-kinds';

const kMebi = 2 ** 20;
const kDayMs = 86_400_000;

// What `byteSize` takes for memory and bodies.
const kSizeMin = kMebi;
const kSizeMax = 2 ** 40;

export const kSettings = {
  root: optional(path({
    name: 'root', argument: 'DIR', help: 'what to serve (default: the current directory; of npm start: the documentation of io-lite)',
  }, '')),
  host: fixed(text({
    name: 'host', argument: 'ADDRESS',
    help: 'where to listen (default: 127.0.0.1; 0.0.0.0 or :: for every address)',
  }, '127.0.0.1')),
  port: fixed(integer({
    name: 'port', argument: 'N', help: '0 to 65535 (default: 8080; 0 lets the system choose)',
  }, 8080, 0, 65535)),
  listen: fixed(places({
    name: 'listen', argument: 'PLACE',
    help: 'in the place of host and port: PORT, HOST:PORT, [IPV6]:PORT, unix:PATH or fd:N, with ' +
      'https:// before it for HTTPS; several are allowed. [::] takes IPv4, too. What systemd has opened ' +
      'for us is listened to unasked',
  })),
  tlsCert: optional(path({
    name: 'tls-cert', argument: 'FILE',
    help: 'the certificate for HTTPS and what leads to its root, PEM. Host and port, and what systemd has ' +
      'opened, then speak HTTPS (but for a socket that it names http). SIGHUP reads it again',
  }, '')),
  tlsKey: optional(path({
    name: 'tls-key', argument: 'FILE', help: 'the private key of the certificate, PEM, without passphrase',
  }, '')),
  tlsMinVersion: choice({
    name: 'tls-min-version', argument: 'VERSION', help: 'TLSv1.2 (the default) or TLSv1.3',
  }, 'TLSv1.2', ['TLSv1.2', 'TLSv1.3']),
  redirectsToHttps: fixed(flag({
    name: 'redirect-to-https',
    help: 'send what comes by plain HTTP, but through a Unix socket, to the same host, path and query by HTTPS (308)',
  })),
  httpsPort: fixed(optional(integer({
    name: 'https-port', argument: 'N',
    help: 'where it is sent, if clients see another port than ours (default: that of the first https:// place)',
  }, 443, 1, 65535))),
  backlog: fixed(integer({
    name: 'backlog', argument: 'N', help: 'connections that wait to be accepted (default: 511)',
  }, 511, 1, 65535)),
  socketMode: fixed(fileMode({
    name: 'socket-mode', argument: 'OCTAL',
    help: 'permissions of Unix sockets, like 660 (default: by umask)',
  })),
  user: fixed(optional(text({
    name: 'user', argument: 'NAME', help: 'whom to become once the sockets are bound and the pid file is written; logs are opened by that user',
  }, ''))),
  group: fixed(optional(text({
    name: 'group', argument: 'NAME', help: 'the same of the group (default: that of the user)',
  }, ''))),
  pidFile: fixed(optional(path({
    name: 'pid-file', argument: 'FILE', help: 'holds our process id while we serve',
  }, ''))),
  accessLog: optional(path({
    name: 'access-log', argument: 'FILE',
    help: 'a line for each request; - is stdout. SIGUSR2 or SIGUSR1 opens it anew, after a rotation',
  }, '')),
  logFormat: choice({
    name: 'log-format', argument: 'FORMAT', help: `of its lines: ${kLogFormats.join(', ')} (default: combined)`,
  }, 'combined', kLogFormats),
  errorLog: optional(path({
    name: 'error-log', argument: 'FILE',
    help: 'what an operator must know (default: stderr). Opened anew, too',
  }, '')),
  cacheBytes: fixed(byteSize({
    name: 'cache-bytes', argument: 'N',
    help: 'memory for file contents, 1M to 1024G, in bytes or with K, M or G behind it (powers of ' +
      '1024; default: 256M)',
  }, 256 * kMebi, kSizeMin, kSizeMax)),
  hasListing: flag({ name: 'listing', help: 'list directories that have no index file' }),
  ...kFileSettings,
  hasStatus: flag({
    name: 'status', help: 'show live figures at /.flash-lite/, to whoever may connect; as JSON at /.flash-lite/status, ' +
      'for Prometheus at /.flash-lite/metrics',
  }),
  cgi: routes({
    name: 'cgi', argument: 'PREFIX=PATH',
    help: 'answer requests below PREFIX by a CGI program, or by those in a folder; several are ' +
      'allowed, the longest prefix wins',
  }),
  apps: routes({
    name: 'app', argument: 'PREFIX=MODULE',
    help: 'answer requests below PREFIX by workers that run this module (io-lite/cgi)',
  }),
  appWorkers: integer({
    name: 'app-workers', argument: 'N', help: 'of each module, 1 to 256 (default: 1)',
  }, 1, 1, 256),
  appStartTimeoutMs: integer({
    name: 'app-start-timeout-ms', argument: 'N',
    help: 'how long a worker may take to be there (default: 10000)',
  }, 10_000, 1, kDayMs),
  environment: variables({
    name: 'env', argument: 'NAME=VALUE',
    help: 'a variable for programs and workers; several are allowed',
  }),
  cgiTimeoutMs: integer({
    name: 'cgi-timeout-ms', argument: 'N',
    help: 'how long a program or worker may do nothing (default: 60000)',
  }, 60_000, 1, kDayMs),
  cgiProgramsMax: integer({
    name: 'cgi-max', argument: 'N',
    help: 'programs at a time, 1 to 10000 (default: 64); four times as many wait',
  }, 64, 1, 10_000),
  bodyBytesMax: byteSize({
    name: 'body-max-bytes', argument: 'N', help: 'of a request, like --cache-bytes (default: 64M)',
  }, 64 * kMebi, kSizeMin, kSizeMax),
  bodyTimeoutMs: integer({
    name: 'body-timeout-ms', argument: 'N',
    help: 'without a byte of a body that is being read (default: 60000)',
  }, 60_000, 1, kDayMs),
  bodyBytesPerSecondMin: integer({
    name: 'body-min-rate', argument: 'N',
    help: 'bytes a second of a body that is being read, on average, once that time has passed (default: 500; 0: any)',
  }, 500, 0, 2 ** 30),
  headBytesMax: byteSize({
    name: 'head-max-bytes', argument: 'N',
    help: 'of a request\'s line and headers, 256 to 64K; more is 431 (default: 16K)',
  }, 16 << 10, 256, 64 << 10),
  targetBytesMax: byteSize({
    name: 'target-max-bytes', argument: 'N',
    help: 'of a request\'s target, 1 to 64K; more is 414 (default: 8K)',
  }, 8 << 10, 1, 64 << 10),
  headerFieldsMax: integer({
    name: 'header-max', argument: 'N', help: 'header lines of a request, 1 to 100 (default: 100)',
  }, 100, 1, 100),
  headTimeoutMs: integer({
    name: 'head-timeout-ms', argument: 'N',
    help: 'from the first byte of a request to the end of its headers; then 408 (default: 10000)',
  }, 10_000, 1, kDayMs),
  idleTimeoutMs: integer({
    name: 'idle-timeout-ms', argument: 'N',
    help: 'between requests, and before the first (default: 60000)',
  }, 60_000, 1, kDayMs),
  sendTimeoutMs: integer({
    name: 'send-timeout-ms', argument: 'N',
    help: 'without any progress of what is being sent (default: 60000)',
  }, 60_000, 1, kDayMs),
  answerTimeoutMs: integer({
    name: 'answer-timeout-ms', argument: 'N',
    help: 'how long the answer, or its next part, may take; then 504, or cut (default: 0, never)',
  }, 0, 0, kDayMs),
  connectionsMax: integer({
    name: 'connections-max', argument: 'N',
    help: 'open at a time; more wait to be accepted (default: 10000)',
  }, 10_000, 1, 1_000_000),
  pipelineMax: integer({
    name: 'pipeline-max', argument: 'N',
    help: 'unanswered requests of a connection, 1 to 64 (default: 16)',
  }, 16, 1, 64),
  unsentBytesMax: fixed(byteSize({
    name: 'unsent-max-bytes', argument: 'N',
    help: 'what the kernel keeps for a slow reader beside what is under way, 0 to 1G (eight times that ' +
      'for quick ones; 0: no bound; default: 128K)',
  }, 128 << 10, 0, 2 ** 30)),
  queuedBytesMax: byteSize({
    name: 'queued-max-bytes', argument: 'N',
    help: 'of all answers that wait for their clients, each counted by itself, 0 to 1024G; beyond it ' +
      'those who have taken nothing for the longest are cut (default: 4G)',
  }, 2 ** 32, 0, kSizeMax),
  copiesBeforeReference: fixed(integer({
    name: 'copies-before-reference', argument: 'N',
    help: 'how often a piece above 128 KiB is copied to sockets before it leaves by reference, which ' +
      'is cheaper but gives its memory back (0: always copied; default: 32)',
  }, 32, 0, 0xffff_ffff)),
  finishTimeoutMs: integer({
    name: 'finish-timeout-ms', argument: 'N',
    help: 'how long what is being sent may take once the server is stopped (default: 10000)',
  }, 10_000, 0, kDayMs),
};

type Table = typeof kSettings;
export type Options = {
  [Property in keyof Table]: Table[Property] extends Setting<infer Value> ? Value : never;
};
export type Property = keyof Table;

export const kProperties = Object.keys(kSettings) as Property[];

export function settingOf(property: Property): Setting<unknown> {
  return kSettings[property] as Setting<unknown>;
}

const kPropertyOfName = new Map(
  kProperties.map((property) => [settingOf(property).name, property]));

export function propertyOf(name: string): Property | undefined {
  return kPropertyOfName.get(name);
}

// The fallbacks, changed by what the file and then the command line say.
export function combine(...layers: readonly Partial<Options>[]): Options {
  const values: Record<string, unknown> = {};
  for (const property of kProperties) {
    const { fallback, merge, isReplaced } = settingOf(property);
    let value: unknown;
    for (const layer of [...layers].reverse()) {
      const given = layer[property] as unknown;
      if (given === undefined) continue;
      if (value === undefined) value = given;
      else if (merge !== undefined && isReplaced !== true) value = merge(value, given);
    }
    values[property] = value === undefined ? fallback : value;
  }
  return values as Options;
}

// Of a configuration file, for editors and for us.
export const kConfigSchema: Schema = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'Flash-Lite configuration',
  type: 'object',
  additionalProperties: false,
  properties: Object.fromEntries(kProperties.map((property) => {
    const { name, schema, help } = settingOf(property);
    return [name, { ...schema, description: help }];
  })),
};
