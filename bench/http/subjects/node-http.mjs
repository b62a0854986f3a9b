// Node's own server with every file in a Buffer: what a careful author gets without a library.
import { startScript } from '../node-server.mjs';

export const name = 'node-http';
export const about = 'Node http, answers from Buffers in memory';
export const speaksTls = true;
export const available = async () => true;
export const start = (options) => startScript('node-http.mjs', options);
