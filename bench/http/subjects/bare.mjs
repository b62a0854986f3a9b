// The yardstick: a C epoll server that sends prebuilt answers from memory.
import { startServer } from '../../lib/children.mjs';

export const name = 'bare';
export const about = 'C, epoll, one send of a prebuilt answer';

export async function available() {
  return true;
}

export function start({ root, cpu, native }) {
  return startServer({ command: native.bareServer, args: ['--root', root, '--port', '0'], cpu, ready: /ready (\d+)\n/ });
}
