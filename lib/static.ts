/// <reference types="node" preserve="true" />
/**
 * Files for servers that are not ours: what `send`, `serve-static` and `@fastify/static` do, from the
 * file cache, by reference.
 */
export {
  fastifyStatic, type FastifyStaticOptions, type StaticFastify, type StaticReply,
} from './static/fastify';
export { CachedFileStats, StaticError } from './static/answers';
export type { SendOptions } from './static/options';
export { send, SendStream } from './static/send';
export { serveStatic, type ServeStaticOptions, type StaticHandler } from './static/serve';
