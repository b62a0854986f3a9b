// Flash-Lite: decides for each request what to send; io-lite reads, keeps and sends the bytes.
//
//   target -> resource map --hit--> head (built before) + bytes (cached) -> one respond()
//                          \-miss-> site: decode, check, open -> resource map -> the same
//
// A hit touches no file, makes no promise and copies no byte.

import { readFileSync } from 'node:fs';

import { FileCache, Window, stats, version, type Aggregate, type Pool } from 'io-lite';
import { CgiGateway, CgiWorkers } from 'io-lite/cgi';
import { HttpServer, Interest, type HttpRequest, type HttpServerOptions } from 'io-lite/http';

import { Answers, respondText } from './answers';
import { allowsRange, evaluateConditions } from './conditions';
import { hasChanged, isShortOfDescriptors, messageOf, statusOf } from './failures';
import { FileResource, type Selection } from './file-resource';
import { log } from './log';
import type { CgiRoute, Options } from './settings';
import { pathnameOf, queryOf } from './paths';
import { Programs } from './programs';
import { parseRange } from './range';
import { ResourceMap } from './resource-map';
import { Routes, type RouteMatch } from './routes';
import { Site, type Found } from './site';
import { streamFile } from './stream';

type FoundElse = Exclude<Found, { kind: 'file' }>;

export type FlashLiteOptions = Options & {
  root: string;  // Absolute.
};

export const kStatusPath = '/.flash-lite/status';

// Each resource keeps a descriptor open, and so does each path that the file cache remembers.
const kResourcesMax = 6000;
const kDescriptorShare = 1 / 4;
// Up to here a file is sent as one aggregate; above, part by part, so that neither the machine nor
// a slow reader's connection holds all of it.
const kWholeBytesMax = 4 << 20;
const kPartBytes = 1 << 20;
// How often an answer is begun anew because the file changed before anything was sent.
const kAttemptsMax = 8;

// Local redirects of programs (RFC 3875 section 6.2.2) for one request.
const kRedirectsMax = 10;
// Requests that wait for a program, for each that runs.
const kWaitingPerProgram = 4;

const kConditional = Interest.IfMatch | Interest.IfNoneMatch | Interest.IfModifiedSince |
  Interest.IfUnmodifiedSince;
const kDecisive = kConditional | Interest.Range;

export class FlashLite {
  readonly #answers = new Answers();
  readonly #resources: ResourceMap;
  readonly #searches = new Map<string, Promise<FoundElse | FileResource>>();
  readonly #options: FlashLiteOptions;
  readonly #pool: Pool;
  readonly #cache: FileCache;
  readonly #site: Site;
  readonly #programs: Programs;
  readonly #routes: Routes;
  readonly #gateway: CgiGateway;
  readonly #wholeBytesMax: number;
  readonly #partBytes: number;
  #server: HttpServer | undefined;

  static async listen(options: FlashLiteOptions): Promise<FlashLite> {
    if (options.apps.length > 0) await Window.create({ label: 'flash-lite' });
    const flashLite = new FlashLite(options);
    try {
      flashLite.#server =
        await HttpServer.listen(serverOptions(options), (request) => flashLite.#onRequest(request));
    } catch (error) {
      await flashLite.#routes.close();
      flashLite.#dispose();
      throw error;
    }
    return flashLite;
  }

  private constructor(options: FlashLiteOptions) {
    this.#options = options;
    const { cacheBytes } = options;
    // What leaves the cache while it is being sent stays in memory: as much again, not more. Beyond
    // that the answer is 503.
    this.#pool = Window.default().createPool({ name: 'flash-lite', maxBytes: 2 * cacheBytes });
    const filesMax = Math.max(8, Math.min(kResourcesMax, descriptorsMax() * kDescriptorShare));
    this.#resources = new ResourceMap(Math.floor(filesMax));
    this.#cache = new FileCache({
      maxBytes: cacheBytes, pool: this.#pool, openFilesMax: this.#resources.entriesMax,
    });
    this.#site = new Site(options.root, this.#cache, options.hasListing);
    const { environment, root: documentRoot } = options;
    this.#programs = new Programs({ environment, documentRoot });
    this.#routes = new Routes([
      ...options.cgi, ...options.apps.map((app) => ({ ...app, workers: workersOf(options, app) })),
    ]);
    this.#gateway = new CgiGateway({
      programsMax: options.cgiProgramsMax,
      queueMax: kWaitingPerProgram * options.cgiProgramsMax,
      timeoutMs: options.cgiTimeoutMs,
      software: `flash-lite/${version}`,
      log,
    });
    this.#wholeBytesMax = Math.min(kWholeBytesMax, Math.floor(cacheBytes / 4));
    this.#partBytes = Math.min(kPartBytes, this.#wholeBytesMax);
  }

  get port(): number {
    return (this.#server as HttpServer).port;
  }

  // Accepts nothing more and finishes what is being sent; what is not done by then is cut.
  async close(timeoutMs: number): Promise<void> {
    const server = this.#server as HttpServer;
    const timer = setTimeout(() => server.destroy(), timeoutMs);
    await server.close();
    clearTimeout(timer);
    await Promise.all([this.#gateway.close(), this.#routes.close()]);
    this.#dispose();
  }

  #dispose(): void {
    this.#resources.clear();
    this.#answers.dispose();
    this.#cache.close();
    this.#pool.dispose();
  }

  // The hot path.
  #onRequest(request: HttpRequest): void {
    try {
      const match = this.#routes.match(pathnameOf(request.target));
      if (match !== undefined) {
        if (match.route.workers !== undefined) match.route.workers.answer(request);
        else void this.#answerByProgram(request, match, undefined, 0);
        return;
      }
      const { method } = request;
      if (method !== 'GET' && method !== 'HEAD') {
        this.#answers.respond(request, method === 'OPTIONS' ? 204 : 405);
        return;
      }
      const pathname = pathnameOf(request.target);
      if (this.#respondHit(request, this.#resources.peek(pathname))) return;
      const resource = this.#resources.get(pathname);
      if (resource === undefined) {
        void this.#answerFromSite(request, request.target, 1);
        return;
      }
      const selection = this.#select(request, resource);
      if (selection === undefined || this.#respondNow(request, resource, selection)) return;
      void this.#respondLater(request, resource.retain(), selection, request.target, 1);
    } catch (error) {
      this.#fail(request, error);
    }
  }

  // Most requests: the whole of a file that is in memory and known to be fresh.
  #respondHit(request: HttpRequest, resource: FileResource | undefined): boolean {
    if (resource === undefined || (request.interests & kDecisive) !== 0) return false;
    const { file, whole } = resource;
    if (whole.length > this.#wholeBytesMax || request.method !== 'GET') return false;
    return request.respondFile(whole.head, file, 0, whole.length);
  }

  // Undefined when the answer is none of the file's bytes and has been given.
  #select(request: HttpRequest, resource: FileResource): Selection | undefined {
    const interests = request.interests & kDecisive;
    if (interests === 0) return resource.whole;
    if ((interests & kConditional) !== 0) {
      const verdict = evaluateConditions(request, resource);
      if (verdict === 'not-modified') return resource.notModified;
      if (verdict === 'failed') {
        this.#answers.respond(request, 412);
        return undefined;
      }
    }
    if ((interests & Interest.Range) === 0 || request.method !== 'GET') return resource.whole;
    if (!allowsRange(request, resource)) return resource.whole;
    const { byteLength } = resource.file;
    const range = parseRange(request.header('range') ?? '', byteLength);
    if (range === 'ignored') return resource.whole;
    if (range !== 'unsatisfiable') return resource.selectRange(range);
    this.#answers.respondUnsatisfiable(request, byteLength);
    return undefined;
  }

  // False when the bytes are not in memory or too many to be sent at once.
  #respondNow(request: HttpRequest, resource: FileResource, selection: Selection): boolean {
    const { head, offset, length, isTemporary } = selection;
    let body: Aggregate | null = null;
    if (length > 0 && request.method !== 'HEAD') {
      if (length > this.#wholeBytesMax) return false;
      body = resource.file.tryRead(offset, length) ?? null;
      if (body === null) return false;
    }
    try {
      request.respond(head, body);
    } finally {
      body?.dispose();
      if (isTemporary) head.dispose();
    }
    return true;
  }

  // Releases the resource.
  async #respondLater(
    request: HttpRequest, resource: FileResource, selection: Selection, url: string,
    attempt: number,
  ): Promise<void> {
    const { head, offset, length, isTemporary } = selection;
    try {
      const firstLength = length > this.#wholeBytesMax ? this.#partBytes : length;
      const body = await resource.file.read(offset, firstLength);
      try {
        if (firstLength < length) await streamFile(request, resource.file, selection, body);
        else request.respond(head, body);
      } finally {
        body.dispose();
      }
    } catch (error) {
      if (hasChanged(error) && attempt < kAttemptsMax) {
        this.#resources.delete(pathnameOf(url));
        void this.#answerFromSite(request, url, attempt + 1);
      } else {
        this.#fail(request, error);
      }
    } finally {
      if (isTemporary) head.dispose();
      resource.release();
    }
  }

  // Never rejects.
  async #answerFromSite(request: HttpRequest, url: string, attempt: number): Promise<void> {
    const pathname = pathnameOf(url);
    try {
      if (this.#options.hasStatus && pathname === kStatusPath) {
        this.#respondStatus(request);
        return;
      }
      const found = await this.#search(pathname);
      if (found instanceof FileResource) {
        const selection = this.#select(request, found);
        if (selection === undefined || this.#respondNow(request, found, selection)) return;
        await this.#respondLater(request, found.retain(), selection, url, attempt);
      } else {
        this.#respondFound(request, url, found);
      }
    } catch (error) {
      this.#fail(request, error);
    }
  }

  // `url` is where a program has sent us, as a GET. Never rejects.
  async #answerByProgram(
    request: HttpRequest, match: RouteMatch, url: string | undefined, redirects: number,
  ): Promise<void> {
    try {
      if (match.route.workers !== undefined) throw new Error('a local redirect to a worker');
      const found = await this.#programs.find(match.route, match.decoded);
      if (found.kind === 'refused') {
        this.#answers.respond(request, found.status);
        return;
      }
      const next = await this.#gateway.answer(request, found.target, url);
      if (next === undefined) return;
      if (redirects === kRedirectsMax) throw new Error(`more than ${kRedirectsMax} local redirects`);
      const further = this.#routes.match(pathnameOf(next));
      if (further !== undefined) await this.#answerByProgram(request, further, next, redirects + 1);
      else await this.#answerFromSite(request, next, 1);
    } catch (error) {
      this.#fail(request, error);
    }
  }

  // Requests for the same pathname share one search.
  #search(pathname: string): Promise<FoundElse | FileResource> {
    let search = this.#searches.get(pathname);
    if (search === undefined) {
      search = this.#searchAnew(pathname).finally(() => this.#searches.delete(pathname));
      this.#searches.set(pathname, search);
    }
    return search;
  }

  async #searchAnew(pathname: string): Promise<FoundElse | FileResource> {
    const found = await this.#findWithDescriptors(pathname);
    if (found.kind !== 'file') return found;
    let resource: FileResource;
    try {
      resource = new FileResource(found.file);
    } catch (error) {
      found.file.close();
      throw error;
    }
    this.#resources.set(pathname, resource);
    // Whoever waits for this search looks at the resource before the next turn of the loop.
    resource.retain();
    setImmediate(() => resource.release());
    return resource;
  }

  // Short of descriptors, ours go first; then it is tried once more.
  async #findWithDescriptors(pathname: string): Promise<Found> {
    try {
      return await this.#site.find(pathname);
    } catch (error) {
      if (!isShortOfDescriptors(error) || this.#resources.size === 0) throw error;
      this.#resources.dropHalf();
      return this.#site.find(pathname);
    }
  }

  #respondFound(request: HttpRequest, url: string, found: FoundElse): void {
    switch (found.kind) {
      case 'directory': {
        this.#answers.respondRedirect(request, `${pathnameOf(url)}/${queryOf(url)}`);
        break;
      }
      case 'listing':
        respondText(request, 200, { 'Content-Type': 'text/html; charset=utf-8' }, found.html);
        break;
      case 'refused':
        this.#answers.respond(request, found.status);
        break;
    }
  }

  #respondStatus(request: HttpRequest): void {
    const body = JSON.stringify(this.status(), null, 2);
    const fields = {
      'Content-Type': 'application/json; charset=utf-8',
      'Cache-Control': 'no-store',
    };
    respondText(request, 200, fields, `${body}\n`);
  }

  status(): Record<string, unknown> {
    const { copies, ...memory } = stats();
    const http = (this.#server as HttpServer).stats();
    return {
      version,
      pid: process.pid,
      uptimeSeconds: Math.floor(process.uptime()),
      connections: http.connectionsOpen,
      requests: http.requests,
      http,
      resources: { entries: this.#resources.size, entriesMax: this.#resources.entriesMax },
      cache: this.#cache.stats(),
      cgi: this.#gateway.stats(),
      apps: this.#routes.stats(),
      copies,
      memory,
    };
  }

  #fail(request: HttpRequest, error: unknown): void {
    if (!request.isOpen) return;  // The client has left.
    const status = statusOf(error);
    if (status >= 500) log(`${status} for ${pathnameOf(request.target)}: ${messageOf(error)}`);
    try {
      this.#answers.respond(request, status);
    } catch (responseError) {
      log(`no answer for ${pathnameOf(request.target)}: ${messageOf(responseError)}`);
      request.abort();
    }
  }
}

function serverOptions(options: FlashLiteOptions): HttpServerOptions {
  const {
    host, port, backlog, headBytesMax, targetBytesMax, headerFieldsMax, headTimeoutMs, idleTimeoutMs,
    sendTimeoutMs, connectionsMax, pipelineMax, bodyBytesMax, bodyTimeoutMs,
  } = options;
  return {
    host, port, backlog, headBytesMax, targetBytesMax, headerFieldsMax, headTimeoutMs, idleTimeoutMs,
    sendTimeoutMs, connectionsMax, pipelineMax, bodyBytesMax, bodyTimeoutMs,
  };
}

function workersOf(options: FlashLiteOptions, { prefix, path: module }: CgiRoute): CgiWorkers {
  return new CgiWorkers({
    module,
    workers: options.appWorkers,
    scriptName: prefix,
    documentRoot: options.root,
    environment: options.environment,
    timeoutMs: options.cgiTimeoutMs,
    software: `flash-lite/${version}`,
    log,
  });
}

// What the system lets this process have open. Node has raised it as far as it may.
function descriptorsMax(): number {
  const match = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
  return match === null ? 1024 : Number(match[1]);
}
