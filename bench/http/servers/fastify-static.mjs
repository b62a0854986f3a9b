// fastify-static.mjs ROOT HOST: @fastify/static with its defaults.
import fastifyStatic from '@fastify/static';
import fastify from 'fastify';

const [root, host] = process.argv.slice(2);
const app = fastify({ keepAliveTimeout: 300_000 });
await app.register(fastifyStatic, { root });
await app.listen({ host, port: 0 });
console.log(`ready ${app.server.address().port}`);
