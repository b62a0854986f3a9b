// A server with one worker, which notes where it receives bodies: node body-server.mjs MODULE [shared]
import { stats, Window } from 'io-lite';
import { CgiWorkers } from 'io-lite/cgi';
import { HttpServer } from 'io-lite/http';

const [, , module, kind] = process.argv;
const window = await Window.create();
const shared = kind === 'shared' ? { bodyPool: window.createPool({ name: 'shared' }) } : {};
const workers = new CgiWorkers({ module, scriptName: '/app', log: console.error, ...shared });
const received = [];
const server = await HttpServer.listen({ host: '127.0.0.1', port: 0, bodyBytesMax: 64 << 20 }, (request) => {
  if (request.target === '/facts') {
    const { pools, copies } = stats();
    const facts = JSON.stringify({ received, pools: pools.map(({ name, allocations }) => [name, allocations]), copies });
    process.stdout.write(`${facts}\n`);
    return request.refuse(503);
  }
  const { body } = request;
  const read = body.read.bind(body);
  body.read = async (...args) => {
    const part = await read(...args);
    if (part !== null) received.push(...part.slices().map(({ address, byteLength }) => [address, byteLength]));
    return part;
  };
  workers.answer(request);
});
console.log(`flash-lite: serving ${kind} on http://127.0.0.1:${server.port}`);
