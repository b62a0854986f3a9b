// A Unix stream socket, as net has it; messages have their length before them.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { overStreams } from '../streams.mjs';

export const name = 'unix-socket';
export const about = 'Unix stream socket (net), length before each message';
export const available = () => true;

export async function openClient({ start, scratch }) {
  const path = join(scratch, 'socket');
  const server = createServer().listen(path);
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  await start({ args: [path] });
  const [socket] = await accepted;
  return overStreams(socket, socket);
}

export async function openServer({ args: [path] }) {
  const socket = connect(path);
  await once(socket, 'connect');
  return overStreams(socket, socket);
}
