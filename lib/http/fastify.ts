/**
 * For Fastify: `reply.replyWith()`. Fastify itself is not needed here.
 */
import type { ServerResponse } from 'node:http';

import { orAsBefore, replyWith, type ReplyBody, type ReplyOptions } from './reply';

/** What is used of a Fastify reply. */
export interface FastifyReplyLike {
  readonly raw: ServerResponse;
  readonly statusCode: number;
  /** As Fastify's own. */
  hijack(): unknown;
  /** As Fastify's own. */
  getHeaders(): Record<string, number | string | string[] | undefined>;
}

/** What is used of a Fastify instance. */
export interface FastifyLike {
  /** As Fastify's own. */
  decorateReply(name: string, value: unknown): unknown;
}

/** What {@link fastifyReplies} adds to a reply. */
export interface ReplyingReply {
  /** As `replyWith`, with the status and the headers that the reply has. `return` it. */
  replyWith(body: ReplyBody, options?: ReplyOptions): Promise<boolean>;
}

/**
 * @internal Answers by Node's response, which gets what was set on the reply. Fastify hears of it when
 * the head has gone: what fails before that is its error handler's.
 */
export async function takeOver(
  reply: FastifyReplyLike, give: (response: ServerResponse) => Promise<boolean>,
): Promise<boolean> {
  const response = reply.raw;
  try {
    return await orAsBefore(response, () => {
      response.statusCode = reply.statusCode;
      for (const [name, value] of Object.entries(reply.getHeaders())) {
        if (value !== undefined) response.setHeader(name, value);
      }
      return give(response);
    });
  } finally {
    if (response.headersSent || response.destroyed) reply.hijack();
  }
}

/**
 * A plugin that gives every reply a `replyWith`. The bytes go to Node's response as they lie, so
 * `onSend` hooks, which could change them, do not see the answer; `onResponse` hooks do.
 *
 * @example
 * ```ts
 * await app.register(fastifyReplies);
 * app.get('/report', (request, reply) => reply.replyWith(aggregate, { headers }));
 * ```
 */
export function fastifyReplies(fastify: FastifyLike, _options: unknown, done: () => void): void {
  fastify.decorateReply('replyWith', function replyWithBytes(
    this: FastifyReplyLike, body: ReplyBody, options?: ReplyOptions,
  ): Promise<boolean> {
    return takeOver(this, (response) => replyWith(response, body, options));
  });
  done();
}

// Fastify's own mark for a plugin that is for its parent's routes, too.
Object.assign(fastifyReplies, { [Symbol.for('skip-override')]: true });
