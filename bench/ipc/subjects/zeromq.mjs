// ZeroMQ's PAIR sockets over ipc://.
import { join } from 'node:path';
import { bufferLink } from '../buffers.mjs';
import { check } from '../content.mjs';

export const name = 'zeromq';
export const about = 'zeromq, PAIR over ipc://';

const load = () => import('zeromq').catch(() => null);
export const available = async () => ((await load()) === null ? 'npm run bench:install brings it' : true);

export async function openClient({ start, scratch }) {
  const address = `ipc://${join(scratch, 'zmq')}`;
  const socket = new (await load()).Pair();
  await socket.bind(address);
  await start({ args: [address] });
  return link(socket);
}

export async function openServer({ args: [address] }) {
  const socket = new (await load()).Pair();
  socket.connect(address);
  return link(socket);
}

function link(socket) {
  return {
    ...bufferLink(),
    send: (bytes) => socket.send(bytes),
    sendFresh: (bytes) => socket.send(bytes),
    ack: () => socket.send('1'),
    async listen(onMessage, valueOf) {
      for await (const [bytes] of socket) {
        if (this.reads) check(bytes, valueOf());
        onMessage();
      }
    },
  };
}
