// Subjects that are a script in servers/: SCRIPT ROOT HOST, and with TLS CERT KEY.
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { startServer } from '../lib/children.mjs';

/** `available()` of a subject that needs a package of bench/package.json. */
export const needs = (name) => async () => {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    return `${name} is not installed (npm run bench:install)`;
  }
};

export function startScript(script, { root, host, place, tls, command = process.execPath }) {
  const file = fileURLToPath(new URL(`servers/${script}`, import.meta.url));
  const env = { NODE_ENV: 'production' };
  return startServer({ command, args: [file, root, host, ...(tls ? [tls.certFile, tls.keyFile] : [])], place, env, ready: /ready (\d+)\n/ });
}
