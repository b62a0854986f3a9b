// Node's own server with every file in a Buffer: what a careful author gets without a library.
import { fileURLToPath } from 'node:url';
import { startServer } from '../../lib/children.mjs';

const SCRIPT = fileURLToPath(new URL('../servers/node-http.mjs', import.meta.url));

export const name = 'node-http';
export const about = 'Node http, answers from Buffers in memory';

export async function available() {
  return true;
}

export function start({ root, port, cpu }) {
  return startServer({ command: process.execPath, args: [SCRIPT, root, String(port)], cpu, ready: /ready (\d+)\n/ });
}
