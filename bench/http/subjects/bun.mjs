// Bun.serve answering from memory; a program of its own.
import { fileURLToPath } from 'node:url';
import { exists } from '../../lib/children.mjs';
import { startScript } from '../node-server.mjs';

const OWN = fileURLToPath(new URL('../../node_modules/.bin/bun', import.meta.url));

async function program() {
  for (const command of [OWN, 'bun']) if (await exists(command, ['--version'])) return command;
  return null;
}

export const name = 'bun';
export const about = 'Bun.serve, answers from Buffers in memory';
export const speaksTls = true;
export const available = async () => (await program()) !== null ||
  'bun is not installed (npm install --prefix bench --no-save bun)';
export const start = async (options) => startScript('bun.mjs', { ...options, command: await program() });
