// child_process.fork() and send(), structured clones of a Buffer.
import { overPort } from '../ports.mjs';

export const name = 'cp-advanced';
export const about = "child_process send(), serialization: 'advanced'";
export const available = () => true;

const toMessage = (bytes) => bytes;
const toBytes = (message) => message;

export const openClient = async ({ start }) => overPort(await start({ serialization: 'advanced' }), toMessage, toBytes);
export const openServer = ({ port }) => overPort(port, toMessage, toBytes);
