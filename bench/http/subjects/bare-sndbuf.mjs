// The yardstick with a small send buffer: large answers go out in pieces that stay in the processor's caches.
import { startServer } from '../../lib/children.mjs';

const SEND_BUFFER_BYTES = 128 * 1024;

export const name = 'bare-sndbuf';
export const about = 'the same with SO_SNDBUF capped at 128 KiB';

export async function available() {
  return true;
}

export function start({ root, cpu, native }) {
  const args = ['--root', root, '--port', '0', '--sndbuf', String(SEND_BUFFER_BYTES)];
  return startServer({ command: native.bareServer, args, cpu, ready: /ready (\d+)\n/ });
}
