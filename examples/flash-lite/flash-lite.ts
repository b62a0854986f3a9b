// Flash-Lite: who answers which request: files, programs, workers, the server itself. io-lite reads,
// keeps and sends the bytes.

import { readFileSync } from 'node:fs';

import { FileCache, version, Window, type Pool } from 'io-lite';
import { CgiGateway, CgiWorkers } from 'io-lite/cgi';
import type { HttpRequest } from 'io-lite/http';

import type { OwnAnswer } from './answers';
import { log } from './log';
import { pathnameOf } from './paths';
import { Programs } from './programs';
import { secureLocationOf } from './redirect';
import { Routes, type RouteMatch } from './routes';
import type { CgiRoute, Options } from './settings';
import { StaticFiles } from './static-files';
import { answerStatus, type ServerFacts, type Status } from './status';

export type FlashLiteOptions = Options & {
  root: string;  // Absolute.
};

// Each resource keeps a descriptor open, as a rule that of the path that the file cache remembers.
// Connections take the rest. A file beyond these is opened anew for each request.
const kResourcesMax = 20_000;
const kDescriptorShare = 2 / 5;

// Local redirects of programs (RFC 3875 section 6.2.2) for one request.
const kRedirectsMax = 10;
// Requests that wait for a program, for each that runs.
const kWaitingPerProgram = 4;

// What outlives a change of settings: the memory, and what is in it.
export class Ground {
  readonly pool: Pool;
  readonly filesMax: number;
  readonly cache: FileCache;

  // `facts` are what the status page tells of everything else; forgetAnswers() asks the server's
  // listeners to repeat none.
  constructor(
    { cacheBytes, compressBytes }: Options, readonly facts: () => ServerFacts,
    readonly forgetAnswers: () => void,
  ) {
    // What leaves the cache while it is being sent stays in memory: as much again, not more. Beyond
    // that the answer is 503.
    const maxBytes = 2 * cacheBytes + compressBytes;
    this.pool = Window.default().createPool({ name: 'flash-lite', maxBytes });
    const filesMax = Math.max(8, Math.min(kResourcesMax, descriptorsMax() * kDescriptorShare));
    this.filesMax = Math.floor(filesMax);
    this.cache = new FileCache({
      maxBytes: cacheBytes, pool: this.pool, openFilesMax: this.filesMax,
    });
  }

  close(): void {
    this.cache.close();
    this.pool.dispose();
  }
}

export class FlashLite {
  readonly #options: FlashLiteOptions;
  readonly #ground: Ground;
  readonly #files: StaticFiles;
  readonly #programs: Programs;
  readonly #routes: Routes;
  readonly #gateway: CgiGateway;

  constructor(options: FlashLiteOptions, ground: Ground) {
    this.#options = options;
    this.#ground = ground;
    this.#files = new StaticFiles(options, ground);
    const { environment, root: documentRoot } = options;
    this.#programs = new Programs({ environment, documentRoot });
    this.#routes = new Routes([
      ...options.cgi,
      ...options.apps.map((app) => ({ ...app, workers: workersOf(options, app, ground.cache) })),
    ]);
    this.#gateway = new CgiGateway({
      programsMax: options.cgiProgramsMax,
      queueMax: kWaitingPerProgram * options.cgiProgramsMax,
      timeoutMs: options.cgiTimeoutMs,
      software: `flash-lite/${version}`,
      log,
    });
  }

  // See HttpServer.setErrorAnswer; the caller's to dispose.
  ownAnswers(): Promise<OwnAnswer[]> {
    return this.#files.ownAnswers();
  }

  // All requests have been answered, or nobody waits for their answers any more.
  async close(): Promise<void> {
    await Promise.all([this.#gateway.close(), this.#routes.close()]);
    this.#files.dispose();
  }

  // The hot path.
  answer(request: HttpRequest): void {
    try {
      const pathname = pathnameOf(request.target);
      const match = this.#routes.match(pathname);
      if (match === undefined) {
        const { hasStatus } = this.#options;
        if (hasStatus && answerStatus(request, pathname, this)) return;
        this.#files.answer(request, pathname);
      } else if (match.route.workers !== undefined) {
        match.route.workers.answer(request);
      } else {
        void this.#answerByProgram(request, match, undefined, 0);
      }
    } catch (error) {
      this.#files.fail(request, error);
    }
  }

  // In the place of answer(), for a client that is to come by HTTPS.
  redirect(request: HttpRequest, port: number): void {
    try {
      const location = secureLocationOf(request, port);
      if (location === undefined) this.answer(request);
      else this.#files.redirectToHttps(request, location);
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

  status(): Status {
    return {
      ...this.#ground.facts(),
      ...this.#files.stats(),
      cgi: this.#gateway.stats(),
      apps: this.#routes.stats(),
    };
  }
}

function workersOf(
  options: FlashLiteOptions, { prefix, path: module }: CgiRoute, cache: FileCache,
): CgiWorkers {
  return new CgiWorkers({
    module,
    workers: options.appWorkers,
    scriptName: prefix,
    documentRoot: options.root,
    environment: options.environment,
    files: { root: options.root, cache },
    timeoutMs: options.cgiTimeoutMs,
    startTimeoutMs: options.appStartTimeoutMs,
    software: `flash-lite/${version}`,
    log,
  });
}

// What the system lets this process have open. Node has raised it as far as it may.
function descriptorsMax(): number {
  const match = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
  return match === null ? 1024 : Number(match[1]);
}
