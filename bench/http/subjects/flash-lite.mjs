// The project's own server, started as `npm start` starts it.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { startServer } from '../../lib/children.mjs';

const REPOSITORY = fileURLToPath(new URL('../../..', import.meta.url));
/** What `npm start` runs; it may build first. */
const SCRIPT = 'scripts/start.mjs';
const READY_TIMEOUT_MS = 300_000;
/** Its default is 10,000, and others wait. */
const CONNECTIONS_MAX = 24_000;
/** All of --mix; what it sends is what the others send, unless `compress`. */
const MIX = ['--cache-bytes', '2G', '--no-precompressed'];

export const name = 'flash-lite';
export const about = 'this project: from the window, by reference';
export const logFormats = { combined: 'combined', json: 'json' };
export const canCompress = true;
export const speaksTls = true;

export async function available() {
  return existsSync(`${REPOSITORY}/${SCRIPT}`) || `${SCRIPT} does not exist yet`;
}

export function start({ root, host, place, mix, compress, log, tls, arguments: more = [] }) {
  const args = ['--root', root, '--host', host, '--port', '0', '--connections-max', String(CONNECTIONS_MAX)];
  if (mix) args.push(...MIX, ...(compress ? [] : ['--compress-bytes', '0']));
  if (tls) args.push('--tls-cert', tls.certFile, '--tls-key', tls.keyFile);
  if (log) args.push('--access-log', log.file, '--log-format', log.format);
  return startServer({
    command: process.execPath,
    args: [SCRIPT, ...args, ...more],
    cwd: REPOSITORY,
    place,
    ready: /^flash-lite: serving .* on https?:\/\/[\d.]+:(\d+)\s/m,
    readyTimeoutMs: READY_TIMEOUT_MS,
  });
}
