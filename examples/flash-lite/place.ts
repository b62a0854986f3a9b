// A place to listen at, as text. Knows nothing of sockets.

import { isIPv6 } from 'node:net';

type Where =
  | { kind: 'address'; host: string; port: number }
  | { kind: 'path'; path: string }
  | { kind: 'inherited'; fd: number };

export type Place = Where & { isSecure: boolean };

// `PORT`, `HOST:PORT`, `[IPV6]:PORT`, `unix:PATH` or `fd:N`, for HTTPS with `https://` or `https:` before
// it; undefined for anything else.
export function parsePlace(text: string): Place | undefined {
  const [, scheme, rest] = /^(?:(https?):(?:\/\/)?)?(.+)$/.exec(text) ?? [];
  const where = rest === undefined ? undefined : parseWhere(rest);
  return where === undefined ? undefined : { ...where, isSecure: scheme === 'https' };
}

function parseWhere(text: string): Where | undefined {
  if (text.startsWith('unix:')) {
    return text.length > 5 ? { kind: 'path', path: text.slice(5) } : undefined;
  }
  const inherited = /^fd:(\d{1,5})$/.exec(text);
  if (inherited !== null) return { kind: 'inherited', fd: Number(inherited[1]) };
  const match = /^(?:(?:\[([\da-f:.]+)\]|([^\s:[\]/]+)):)?(\d{1,5})$/i.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65535) return undefined;
  if (match[1] !== undefined && !isIPv6(match[1])) return undefined;
  return { kind: 'address', host: match[1] ?? match[2] ?? '127.0.0.1', port };
}

export function showPlace(place: Place): string {
  const mark = place.isSecure ? 'https:' : '';
  switch (place.kind) {
    case 'path': return `${mark}unix:${place.path}`;
    case 'inherited': return `${mark}fd:${place.fd}`;
    case 'address': return `${mark || 'http:'}//${showAddress(place)}`;
  }
}

export function showAddress({ host, port }: { host: string; port: number }): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}
