// Flash-Lite: who answers which request: files, programs, workers, the server itself. io-lite reads,
// keeps and sends the bytes.

import { readFileSync } from 'node:fs';

import { Window, stats, version, type Pool } from 'io-lite';
import { CgiGateway, CgiWorkers } from 'io-lite/cgi';
import { HttpServer, type HttpRequest, type HttpServerOptions } from 'io-lite/http';

import { respondText } from './answers';
import { log } from './log';
import { pathnameOf } from './paths';
import { Programs } from './programs';
import { Routes, type RouteMatch } from './routes';
import type { CgiRoute, Options } from './settings';
import { StaticFiles } from './static-files';

export type FlashLiteOptions = Options & {
  root: string;  // Absolute.
};

export const kStatusPath = '/.flash-lite/status';

// Each resource keeps a descriptor open, and so does each path that the file cache remembers.
const kResourcesMax = 6000;
const kDescriptorShare = 1 / 4;

// Local redirects of programs (RFC 3875 section 6.2.2) for one request.
const kRedirectsMax = 10;
// Requests that wait for a program, for each that runs.
const kWaitingPerProgram = 4;

export class FlashLite {
  readonly #options: FlashLiteOptions;
  readonly #pool: Pool;
  readonly #files: StaticFiles;
  readonly #programs: Programs;
  readonly #routes: Routes;
  readonly #gateway: CgiGateway;
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
    const { cacheBytes, compressBytes } = options;
    // What leaves the cache while it is being sent stays in memory: as much again, not more. Beyond
    // that the answer is 503.
    const maxBytes = 2 * cacheBytes + compressBytes;
    this.#pool = Window.default().createPool({ name: 'flash-lite', maxBytes });
    const filesMax = Math.max(8, Math.min(kResourcesMax, descriptorsMax() * kDescriptorShare));
    this.#files = new StaticFiles(options, Math.floor(filesMax), this.#pool);
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
    this.#files.dispose();
    this.#pool.dispose();
  }

  // The hot path.
  #onRequest(request: HttpRequest): void {
    try {
      const pathname = pathnameOf(request.target);
      const match = this.#routes.match(pathname);
      if (match === undefined) {
        if (this.#isForStatus(request, pathname)) this.#respondStatus(request);
        else this.#files.answer(request, pathname);
      } else if (match.route.workers !== undefined) {
        match.route.workers.answer(request);
      } else {
        void this.#answerByProgram(request, match, undefined, 0);
      }
    } catch (error) {
      this.#files.fail(request, error);
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
        this.#files.refuse(request, found.status);
        return;
      }
      const next = await this.#gateway.answer(request, found.target, url);
      if (next === undefined) return;
      if (redirects === kRedirectsMax) throw new Error(`more than ${kRedirectsMax} local redirects`);
      const further = this.#routes.match(pathnameOf(next));
      if (further !== undefined) await this.#answerByProgram(request, further, next, redirects + 1);
      else await this.#files.answerFromSite(request, next);
    } catch (error) {
      this.#files.fail(request, error);
    }
  }

  #isForStatus({ method }: HttpRequest, pathname: string): boolean {
    if (!this.#options.hasStatus || pathname !== kStatusPath) return false;
    return method === 'GET' || method === 'HEAD';
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
      ...this.#files.stats(),
      cgi: this.#gateway.stats(),
      apps: this.#routes.stats(),
      copies,
      memory,
    };
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
