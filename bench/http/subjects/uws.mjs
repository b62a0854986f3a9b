// uWebSockets.js answering from memory. Its authors have it in no registry; npm takes it from their repository.
import { fileURLToPath } from 'node:url';
import { run } from '../../lib/children.mjs';
import { needs, startScript } from '../node-server.mjs';

const HOW = 'npm install --prefix bench --no-save uNetworking/uWebSockets.js#v20.52.0';
const HERE = fileURLToPath(new URL('.', import.meta.url));

async function available() {
  if (await needs('uWebSockets.js')() !== true) return `uWebSockets.js is not installed (${HOW})`;
  // Its binaries are for certain versions of Node and of the C library.
  const { code, stderr } = await run(process.execPath, ['--input-type=commonjs', '-e', `require(require.resolve('uWebSockets.js', { paths: ['${HERE}'] }))`]);
  return code === 0 || `uWebSockets.js cannot be loaded here: ${/^Error: (?!This version)(.*)$/m.exec(stderr)?.[1] ?? 'see node'}`;
}

export const name = 'uws';
export const about = 'uWebSockets.js, answers from Buffers in memory';
export const speaksTls = true;
export { available };
export const start = (options) => startScript('uws.mjs', options);
