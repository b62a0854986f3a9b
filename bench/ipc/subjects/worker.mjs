// postMessage() to a worker thread of the same process, which copies.
import { overPort } from '../ports.mjs';

export const name = 'worker';
export const about = 'worker_threads postMessage(), copied (one process, two threads)';
export const available = () => true;

const toMessage = (bytes) => bytes;
const toBytes = (message) => message;

export const openClient = async ({ start }) => overPort(await start({ thread: true }), toMessage, toBytes);
export const openServer = ({ port }) => overPort(port, toMessage, toBytes);
