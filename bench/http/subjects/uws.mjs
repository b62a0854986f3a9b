// uWebSockets.js answering from memory. It is in no registry: npm takes it from its authors' repository.
import { needs, startScript } from '../node-server.mjs';

const HOW = 'npm install --prefix bench --no-save uNetworking/uWebSockets.js#v20.52.0';

export const name = 'uws';
export const about = 'uWebSockets.js, answers from Buffers in memory';
export const speaksTls = true;
export const available = async () => (await needs('uWebSockets.js')() === true) || `uWebSockets.js is not installed (${HOW})`;
export const start = (options) => startScript('uws.mjs', options);
