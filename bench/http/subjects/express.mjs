// express.static, the usual way to serve files from Node: opens and streams the file for each request.
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { startServer } from '../../lib/children.mjs';

const SCRIPT = fileURLToPath(new URL('../servers/express.mjs', import.meta.url));

export const name = 'express';
export const about = 'express.static as it comes';

export async function available() {
  try {
    createRequire(import.meta.url).resolve('express');
    return true;
  } catch {
    return 'express is not installed (npm run bench:install)';
  }
}

export function start({ root, port, cpu }) {
  const env = { NODE_ENV: 'production' };
  return startServer({ command: process.execPath, args: [SCRIPT, root, String(port)], cpu, env, ready: /ready (\d+)\n/ });
}
