// postMessage() to a worker thread with the ArrayBuffer transferred: no copy, but the sender has lost it.
import { overPort } from '../ports.mjs';

export const name = 'worker-transfer';
export const about = 'the same with the ArrayBuffer transferred (nothing can be sent again)';
export const rows = ['fresh', 'read'];
export const available = () => true;

const toMessage = (bytes) => bytes;
const toBytes = (message) => Buffer.from(message.buffer);

export async function openClient({ start }) {
  const port = await start({ thread: true });
  const link = overPort(port, toMessage, toBytes);
  link.fresh = (size, value) => new Uint8Array(size).fill(value);
  link.sendFresh = (bytes) => port.post(bytes, [bytes.buffer]);
  return link;
}
export const openServer = ({ port }) => overPort(port, toMessage, toBytes);
