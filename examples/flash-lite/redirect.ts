// Where a client that came by plain HTTP is sent: to the same by HTTPS.

import { isIPv6 } from 'node:net';

import type { HttpRequest } from 'io-lite/http';

const kHttpsPort = 443;

// Undefined for what asks for no path: `OPTIONS *` and CONNECT.
export function secureLocationOf(request: HttpRequest, port: number): string | undefined {
  const { target } = request;
  if (!/^(?:[/?]|$)/.test(target)) return undefined;
  const authority = hostOf(request) + (port === kHttpsPort ? '' : `:${port}`);
  return `https://${authority}${target.startsWith('/') ? '' : '/'}${target}`;
}

// As the client calls us. Who need not (HTTP/1.0) is sent to the address that it has found.
function hostOf(request: HttpRequest): string {
  const host = request.header('host')?.replace(/:\d*$/, '') ?? '';
  if (host !== '') return host;
  const { address } = request.address('server');
  return isIPv6(address) ? `[${address}]` : address;
}
