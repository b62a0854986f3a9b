// What --status answers below /.flash-lite/: the figures as a page, as JSON, and for Prometheus.

import type { FileCacheStats, Stats } from 'io-lite';
import type { CgiGatewayStats, CgiWorkersStats } from 'io-lite/cgi';
import type { HttpRequest, HttpServerStats } from 'io-lite/http';

import { respondText, type Fields } from './answers';
import { kMetricsType, renderMetrics } from './metrics';
import { kStatusPage, kStatusPageFields } from './status-page';

// Of the process and its sockets; counters are since its start.
export interface ServerFacts {
  version: string;
  pid: number;
  uptimeSeconds: number;
  cpuSeconds: number;
  residentBytes: number;  // The window as far as it is in memory included.
  reloads: number;
  retiring: number;  // Earlier settings by which something is still being answered.
  connections: number;
  requests: number;
  http: HttpServerStats;  // The sum over all listeners.
  accessLog: { lines: number; dropped: number } | null;
  copies: Stats['copies'];
  memory: Omit<Stats, 'copies'>;
}

export interface FileFacts {
  // `made` and `kept`: how often the answers of a path were made, and found to be still right.
  resources: { entries: number; entriesMax: number; made: number; kept: number };
  cache: FileCacheStats;
  compression: Record<string, number>;
}

// `cgi`, `apps` and `compression` count from the last reload.
export interface Status extends ServerFacts, FileFacts {
  cgi: CgiGatewayStats;
  apps: Record<string, CgiWorkersStats>;
}

const kFolder = '/.flash-lite';
const kFresh = { 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' };

// False when the path, or the method, is none of ours; then nothing was answered.
export function answerStatus(
  request: HttpRequest, pathname: string, source: { status(): Status },
): boolean {
  if (!pathname.startsWith(kFolder)) return false;
  const { method } = request;
  if (method !== 'GET' && method !== 'HEAD') return false;
  const answer = (code: number, fields: Fields, text: string): true => {
    respondText(request, code, { ...fields, ...kFresh }, text);
    return true;
  };
  switch (pathname.slice(kFolder.length)) {
    case '':
      return answer(301, { Location: `${kFolder}/` }, '');
    case '/':
      return answer(200, kStatusPageFields, kStatusPage);
    case '/status': {
      const text = `${JSON.stringify(source.status(), null, 2)}\n`;
      return answer(200, { 'Content-Type': 'application/json; charset=utf-8' }, text);
    }
    case '/metrics':
      return answer(200, { 'Content-Type': kMetricsType }, renderMetrics(source.status()));
    default:
      return false;
  }
}
