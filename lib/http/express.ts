/**
 * For Express and Connect: `response.replyWith()`. Express itself is not needed here.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';

import { replyWith, type ReplyBody, type ReplyOptions } from './reply';

/** What {@link expressReplies} adds to a response. */
export interface ReplyingResponse {
  /** As {@link replyWith}, for this response. Express 5 hands a rejection to its error handler. */
  replyWith(body: ReplyBody, options?: ReplyOptions): Promise<boolean>;
}

/**
 * Middleware that gives every response a `replyWith`.
 *
 * @example
 * ```ts
 * app.use(expressReplies());
 * app.get('/report', (request, response) => response.replyWith(aggregate, { headers }));
 * ```
 */
export function expressReplies() {
  return function addReplyWith(
    _request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void,
  ): void {
    (response as ServerResponse & ReplyingResponse).replyWith = (body, options) =>
      replyWith(response, body, options);
    next();
  };
}
