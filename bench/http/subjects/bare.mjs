// The yardstick: a C epoll server that sends prebuilt answers from memory.
import { startBare } from '../bare.mjs';

export const name = 'bare';
export const about = 'C, epoll, one send of a prebuilt answer';
export const isYardstick = true;
export const available = async () => true;
export const start = (options) => startBare(options);
