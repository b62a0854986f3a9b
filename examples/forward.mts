// Forwards every TCP connection to its port to another place, until it is interrupted.
//
//   node --import=tsx examples/forward.mts PORT HOST:PORT      port 0: any that is free
//
// Each direction has at most one piece in memory, and ends by itself: a half-closed connection goes on.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

import { iolRead, iolWrite } from 'io-lite';

const pieceBytes = 64 * 1024;
const [port = '', target = ''] = process.argv.slice(2);
const [host = '', targetPort = ''] = target.split(/:(?=\d+$)/);
if (targetPort === '') {
  console.error('usage: forward.mts PORT HOST:PORT');
  process.exit(2);
}

async function forward(from: Socket, to: Socket): Promise<void> {
  for (;;) {
    using bytes = await iolRead(from, pieceBytes);
    if (bytes === null) break;
    await iolWrite(to, bytes);
  }
  to.end();
}

const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (near) => {
  const far = connect({ host, port: Number(targetPort), allowHalfOpen: true });
  for (const socket of [near, far]) {
    socket.on('error', ({ message }) => {
      console.error(message);
      near.destroy();
      far.destroy();
    });
  }
  // Why nothing is done here: whoever failed has said so by an event.
  Promise.all([forward(near, far), forward(far, near)]).catch(() => {});
});
server.listen(Number(port), '127.0.0.1', () => {
  console.log(`127.0.0.1:${(server.address() as AddressInfo).port} -> ${target}`);
});
