// The files below the root: what each request for one gets.
//
//   target -> resource map --hit--> head (built before) + bytes (cached) -> one respond()
//                          \-miss-> site: decode, check, open -> resource map -> the same
//
// A hit touches no file, makes no promise and copies no byte.

import { FileCache, type Aggregate, type Pool } from 'io-lite';
import { Interest, type HttpRequest } from 'io-lite/http';

import { Answers, respondText } from './answers';
import { allowsRange, evaluateConditions } from './conditions';
import { hasChanged, isShortOfDescriptors, messageOf, statusOf } from './failures';
import { FileResource, type Selection } from './file-resource';
import { log } from './log';
import { pathnameOf, queryOf } from './paths';
import { parseRange } from './range';
import { ResourceMap } from './resource-map';
import { Site, type Found } from './site';
import { streamFile } from './stream';

type FoundElse = Exclude<Found, { kind: 'file' }>;

export interface StaticFilesOptions {
  root: string;           // Absolute.
  cacheBytes: number;
  filesMax: number;       // Each has a descriptor open.
  hasListing: boolean;
}

// Up to here a file is sent as one aggregate; above, part by part, so that neither the machine nor
// a slow reader's connection holds all of it.
const kWholeBytesMax = 4 << 20;
const kPartBytes = 1 << 20;
// How often an answer is begun anew because the file changed before anything was sent.
const kAttemptsMax = 8;

const kConditional = Interest.IfMatch | Interest.IfNoneMatch | Interest.IfModifiedSince |
  Interest.IfUnmodifiedSince;
const kDecisive = kConditional | Interest.Range;

export class StaticFiles {
  readonly #answers = new Answers();
  readonly #resources: ResourceMap;
  readonly #searches = new Map<string, Promise<FoundElse | FileResource>>();
  readonly #cache: FileCache;
  readonly #site: Site;
  readonly #wholeBytesMax: number;
  readonly #partBytes: number;

  constructor(options: StaticFilesOptions, pool: Pool) {
    const { root, cacheBytes, filesMax, hasListing } = options;
    this.#resources = new ResourceMap(filesMax);
    this.#cache = new FileCache({ maxBytes: cacheBytes, pool, openFilesMax: filesMax });
    this.#site = new Site(root, this.#cache, hasListing);
    this.#wholeBytesMax = Math.min(kWholeBytesMax, Math.floor(cacheBytes / 4));
    this.#partBytes = Math.min(kPartBytes, this.#wholeBytesMax);
  }

  // The hot path. May throw: then the request is still to be answered.
  answer(request: HttpRequest, pathname: string): void {
    const { method } = request;
    if (method !== 'GET' && method !== 'HEAD') {
      this.#answers.respond(request, method === 'OPTIONS' ? 204 : 405);
      return;
    }
    if (this.#respondHit(request, this.#resources.peek(pathname))) return;
    const resource = this.#resources.get(pathname);
    if (resource === undefined) {
      void this.answerFromSite(request, request.target, 1);
      return;
    }
    const selection = this.#select(request, resource);
    if (selection === undefined || this.#respondNow(request, resource, selection)) return;
    void this.#respondLater(request, resource.retain(), selection, request.target, 1);
  }

  // With a text that was made beforehand.
  refuse(request: HttpRequest, status: number): void {
    this.#answers.respond(request, status);
  }

  stats(): Record<string, unknown> {
    return {
      resources: { entries: this.#resources.size, entriesMax: this.#resources.entriesMax },
      cache: this.#cache.stats(),
    };
  }

  dispose(): void {
    this.#resources.clear();
    this.#answers.dispose();
    this.#cache.close();
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
        void this.answerFromSite(request, url, attempt + 1);
      } else {
        this.fail(request, error);
      }
    } finally {
      if (isTemporary) head.dispose();
      resource.release();
    }
  }

  // Also for a `url` that a program has sent us to. Never rejects.
  async answerFromSite(request: HttpRequest, url: string, attempt = 1): Promise<void> {
    const pathname = pathnameOf(url);
    try {
      const found = await this.#search(pathname);
      if (found instanceof FileResource) {
        const selection = this.#select(request, found);
        if (selection === undefined || this.#respondNow(request, found, selection)) return;
        await this.#respondLater(request, found.retain(), selection, url, attempt);
      } else {
        this.#respondFound(request, url, found);
      }
    } catch (error) {
      this.fail(request, error);
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

  // Answers what went wrong, if there still is somebody to be told.
  fail(request: HttpRequest, error: unknown): void {
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
