/**
 * `fastifyStatic` of io-lite/static: a folder, and files by `reply.sendFile`, for Fastify; the options
 * of `@fastify/static` that are about single files. Fastify itself is not needed here.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { basename, isAbsolute, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

import { takeOver, type FastifyReplyLike } from '../http/fastify';
import { invalidType, validateFunction } from '../validate';
import { StaticError, type CachedFileStats } from './answers';
import { checkSendOptions, type SendOptions } from './options';
import { encodePath, redirectTo, send } from './send';

/** Options of {@link fastifyStatic}, by the names of `@fastify/static`. */
export interface FastifyStaticOptions extends Omit<SendOptions, 'root'> {
  /** An absolute path or a `file:` URL, or several, which are tried in this order. */
  root?: string | URL | readonly (string | URL)[] | undefined;
  /** Where the folder appears. Default `/`. */
  prefix?: string | undefined;
  /** Leave the prefix as it is: no slash is added. Default false. */
  prefixAvoidTrailingSlash?: boolean | undefined;
  /** Add `sendFile` and `download` to replies; once for an instance. Default true. */
  decorateReply?: boolean | undefined;
  /** Serve the folder; false: only `sendFile` and `download`. Default true. */
  serve?: boolean | undefined;
  /** Redirect a directory without its slash. Default false: not found. */
  redirect?: boolean | undefined;
  /** Refuses a path, decoded, normalized and with its leading slash, by false: not found. */
  allowedPath?: ((path: string, root: string, request: unknown) => boolean) | undefined;
  /** Called before the head is sent; must be synchronous. */
  setHeaders?: ((response: ServerResponse, path: string, stats: CachedFileStats) => void) | undefined;
  /** Of the route, as they are. */
  constraints?: object | undefined;
  /** Hide the route from generated descriptions of the API. Default true. */
  schemaHide?: boolean | undefined;
  /** Of the route, as it is. */
  logLevel?: string | undefined;
}

/** What is used of a Fastify instance. */
export interface StaticFastify {
  /** Of the instance that the plugin is registered with. */
  readonly prefix: string;
  /** As Fastify's own. */
  decorateReply(name: string, value: unknown): unknown;
  /** As Fastify's own. */
  route(options: object): unknown;
}

interface StaticRequest {
  readonly raw: IncomingMessage;
  readonly params: { readonly '*': string };
}

interface Reply extends FastifyReplyLike {
  readonly request: { readonly raw: IncomingMessage };
  readonly sent: boolean;
  send(error: unknown): unknown;
  callNotFound(): unknown;
  redirect(location: string, status: number): unknown;
  header(name: string, value: string): unknown;
}

/** What {@link fastifyStatic} adds to a reply. Both return the reply, to be returned or awaited. */
export interface StaticReply {
  /** Answers with a file below the root, or below `root` if that is given. */
  sendFile(path: string, root?: string | SendOptions, options?: SendOptions): this;
  /** The same, to be stored under `name` (default: the file's). */
  download(path: string, name?: string | SendOptions, options?: SendOptions): this;
}

const encoded = (path: string): string => path.split('/').map(encodeURIComponent).join('/');

/** What may stand between quotes, and the true name for those who know RFC 8187. */
function dispositionOf(name: string): string {
  if (/^[\w!#$&+.^`|~-]+$/.test(name)) return `attachment; filename=${name}`;
  const plain = name.replace(/[^\x20-\x7e]|["\\%]/g, '?');
  if (plain === name) return `attachment; filename="${name}"`;
  const full = encodeURIComponent(name).replace(/['()*]/g, (each) =>
    `%${each.charCodeAt(0).toString(16).toUpperCase()}`);
  return `attachment; filename="${plain}"; filename*=UTF-8''${full}`;
}

/**
 * A plugin that serves a folder. Answers leave by reference, so `onSend` hooks do not see them;
 * `onResponse` hooks do. What is not there is the instance's not-found handler's.
 *
 * @example
 * ```ts
 * await app.register(fastifyStatic, { root: path.resolve('public'), prefix: '/public/' });
 * app.get('/', (request, reply) => reply.sendFile('index.html'));
 * ```
 */
export function fastifyStatic(
  fastify: StaticFastify, options: FastifyStaticOptions, done: (error?: Error) => void,
): void {
  try {
    register(fastify, options);
  } catch (error) {
    return done(error as Error);
  }
  done();
}

function rootsOf(root: unknown, isNeeded: boolean): readonly string[] {
  if (root === undefined && !isNeeded) return [];
  const named: unknown[] = Array.isArray(root) ? root : [root];
  const roots = named.map((each) => (each instanceof URL ? fileURLToPath(each) : each));
  for (const each of roots) {
    if (typeof each !== 'string' || !isAbsolute(each)) {
      throw invalidType('options.root', 'an absolute path or an array of them', each);
    }
  }
  return roots as string[];
}

function register(fastify: StaticFastify, options: FastifyStaticOptions): void {
  const {
    serve = true, redirect = false, allowedPath, setHeaders, decorateReply = true,
    prefixAvoidTrailingSlash = false, constraints, logLevel, schemaHide = true,
  } = options;
  const roots = rootsOf(options.root, serve);
  const shared: SendOptions = { ...options, dotfiles: options.dotfiles ?? 'allow', root: roots[0] };
  checkSendOptions(shared);
  if (allowedPath !== undefined) validateFunction(allowedPath, 'options.allowedPath');
  if (setHeaders !== undefined) validateFunction(setHeaders, 'options.setHeaders');

  /** Rejects with a StaticError when there is no such file. */
  function giveFile(reply: Reply, path: string, own: SendOptions): Promise<boolean> {
    return takeOver(reply, (response) => new Promise<boolean>((resolve, reject) => {
      response.once('close', () => resolve(true));
      const give = (name: string): void => {
        const stream = send(reply.request.raw, name, { ...shared, ...own });
        stream.on('error', (error) => reject(error as Error));
        stream.on('directory', (to: ServerResponse) => {
          const [pathname = '', ...rest] = (reply.request.raw.url ?? '').split(/(?=\?)/);
          if (name.endsWith('/')) stream.error(404);
          else if (!redirect || pathname.endsWith('/')) give(`${name}/`);
          else redirectTo(to, encodePath(`${pathname}/`.replace(/^\/{2,}/, '/') + rest.join('')));
        });
        if (setHeaders !== undefined) stream.on('headers', setHeaders);
        stream.pipe(response);
      };
      give(path);
    }));
  }

  async function giveFirst(
    reply: Reply, path: string, within: readonly string[], own: SendOptions,
  ): Promise<unknown> {
    // Why here: normalized, it would be another file, which other rules may have been meant for.
    if (path.split(/[/\\]/).includes('..')) throw new StaticError(403);
    const encodedPath = encoded(path);
    path = posix.normalize(path);
    for (const [at, root] of within.entries()) {
      if (allowedPath !== undefined && !allowedPath(path, root, reply.request)) break;
      try {
        return await giveFile(reply, encodedPath, { ...own, root });
      } catch (error) {
        const isMissing = error instanceof StaticError && error.statusCode === 404;
        if (!isMissing) throw error;
        if (at === within.length - 1) break;
      }
    }
    return reply.callNotFound();
  }

  /** The reply: who does not wait for it misses no error, because the instance's handler has it. */
  function answer(
    reply: Reply, path: string, within: readonly string[], own: SendOptions,
  ): Reply {
    giveFirst(reply, path, within, own).catch((error: unknown) => {
      if (!reply.sent) reply.send(error);
    });
    return reply;
  }

  function sendFile(
    this: Reply, path: string, root?: string | SendOptions, own: SendOptions = {},
  ): Reply {
    const chosen = typeof root === 'string' ? { ...own, root } : root ?? own;
    return answer(this, `/${path}`, chosen.root === undefined ? roots : [chosen.root], chosen);
  }

  if (decorateReply) {
    fastify.decorateReply('sendFile', sendFile);
    fastify.decorateReply('download', function download(
      this: Reply, path: string, name: string | SendOptions = basename(path), own: SendOptions = {},
    ): Reply {
      const isNamed = typeof name === 'string';
      this.header('content-disposition', dispositionOf(isNamed ? name : basename(path)));
      return sendFile.call(this, path, undefined, isNamed ? own : name);
    });
  }
  if (!serve) return;
  let prefix = options.prefix ?? '/';
  if (!prefixAvoidTrailingSlash && !prefix.endsWith('/')) prefix += '/';
  const route = {
    method: ['GET', 'HEAD'],
    schema: { hide: schemaHide },
    ...(constraints === undefined ? {} : { constraints }),
    ...(logLevel === undefined ? {} : { logLevel }),
  };
  fastify.route({
    ...route,
    url: `${prefix}*`,
    handler: (request: StaticRequest, reply: Reply) => {
      // An encoded separator would make one segment of the route two of the path.
      const [pathname = ''] = (request.raw.url ?? '').split('?');
      if (/%(?:2f|5c)/i.test(pathname)) return reply.callNotFound();
      // A parameter of the prefix may have taken it.
      if (/\/(?:\.|%2e){2}(?:\/|$)/i.test(pathname)) throw new StaticError(403);
      return answer(reply, `/${request.params['*']}`, roots, {});
    },
  });
  if (!redirect || prefix === (options.prefix ?? '/')) return;
  fastify.route({
    ...route,
    url: options.prefix,
    handler: (request: StaticRequest, reply: Reply) => {
      const [pathname = '', ...rest] = (request.raw.url ?? '').split(/(?=\?)/);
      return reply.redirect(encodePath(`${pathname}/`.replace(/^\/{2,}/, '/') + rest.join('')), 301);
    },
  });
}

// Fastify's own mark for a plugin that is for its parent's routes, too.
Object.assign(fastifyStatic, { [Symbol.for('skip-override')]: true });
