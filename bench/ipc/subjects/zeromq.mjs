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
  // A socket refuses (EBUSY) a message while another one is being sent.
  let last = Promise.resolve();
  const post = (bytes) => {
    last = last.then(() => socket.send(bytes));
    return last;
  };
  return {
    ...bufferLink(),
    send: post,
    sendFresh: post,
    ack: () => void post('1'),
    async listen(onMessage, valueOf) {
      for await (const [bytes] of socket) {
        if (this.reads) check(bytes, valueOf());
        onMessage();
      }
    },
  };
}
