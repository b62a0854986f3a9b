// Two pipes, one each way. Named ones, because what child_process calls a pipe is a socket.
import { execFileSync } from 'node:child_process';
import { constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { overStreams } from '../streams.mjs';

export const name = 'pipe';
export const about = 'two FIFOs of 64 KiB, length before each message';
export const available = () => true;

// Why both ways: opening one end alone would wait for the other.
const end = (path) => openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
const reader = (path) => new Socket({ fd: end(path), readable: true, writable: false });
const writer = (path) => new Socket({ fd: end(path), readable: false, writable: true });

export async function openClient({ start, scratch }) {
  const [there, back] = [join(scratch, 'there'), join(scratch, 'back')];
  execFileSync('mkfifo', [there, back]);
  const link = overStreams(reader(back), writer(there));
  await start({ args: [there, back] });
  return link;
}

export const openServer = ({ args: [there, back] }) => overStreams(reader(there), writer(back));
