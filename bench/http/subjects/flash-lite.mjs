// The project's own server, started as `npm start` starts it.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { startServer } from '../../lib/children.mjs';

const REPOSITORY = fileURLToPath(new URL('../../..', import.meta.url));
/** What `npm start` runs; it may build first. */
const SCRIPT = 'scripts/start.mjs';
const READY_TIMEOUT_MS = 300_000;

export const name = 'flash-lite';
export const about = 'this project: from the window, by reference';

export async function available() {
  return existsSync(`${REPOSITORY}/${SCRIPT}`) || `${SCRIPT} does not exist yet`;
}

export function start({ root, port, cpu, arguments: more = [] }) {
  return startServer({
    command: process.execPath,
    args: [SCRIPT, '--root', root, '--port', String(port), ...more],
    cwd: REPOSITORY,
    cpu,
    ready: /^flash-lite: serving .* on http:\/\/127\.0\.0\.1:(\d+)\s/m,
    readyTimeoutMs: READY_TIMEOUT_MS,
  });
}
