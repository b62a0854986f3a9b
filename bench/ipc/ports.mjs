// Links over what has post() and on('message'): child processes and workers. Control messages are objects with `control`.
import { bufferLink } from './buffers.mjs';
import { check } from './content.mjs';

const ACK = 1;

export function overPort(port, toMessage, toBytes) {
  const post = (bytes) => port.post(toMessage(bytes));
  return {
    ...bufferLink(),
    send: post,
    sendFresh: post,
    ack: () => port.post(ACK),
    listen(onMessage, valueOf) {
      port.on('message', (message) => {
        if (message?.control !== undefined) return;
        if (this.reads) check(toBytes(message), valueOf());
        onMessage();
      });
    },
  };
}

/** Of a process or a worker: post() gives a promise when the caller should wait. */
export function portOf(channel) {
  const isThread = channel.postMessage !== undefined;
  return {
    on: (event, listener) => channel.on(event, listener),
    post(message, transfer) {
      if (isThread) return void channel.postMessage(message, transfer);
      let sent;
      const isTaken = channel.send(message, () => sent?.());
      return isTaken ? undefined : new Promise((resolve) => { sent = resolve; });
    },
  };
}
