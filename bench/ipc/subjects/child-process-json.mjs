// child_process.fork() and send(), bytes as base64 in JSON.
import { overPort } from '../ports.mjs';

export const name = 'cp-json';
export const about = "child_process send(), serialization: 'json', base64";
export const sizeMax = 16 << 20;
export const available = () => true;

const toMessage = (bytes) => bytes.toString('base64');
const toBytes = (message) => Buffer.from(message, 'base64');

export const openClient = async ({ start }) => overPort(await start({ serialization: 'json' }), toMessage, toBytes);
export const openServer = ({ port }) => overPort(port, toMessage, toBytes);
