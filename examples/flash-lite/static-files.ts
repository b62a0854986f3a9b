// The files below the root: what each request for one gets.
//
//   target -> resource map --hit--> head (built before) + bytes (cached) -> one respond()
//                          \-miss-> site: decode, check, open -> resource map -> the same
//
// A hit touches no file, makes no promise and copies no byte. The server may repeat it without asking
// (`repeat`): all that it depends on is the target, the headers in kDecisive, Accept-Encoding where it
// is negotiated, and the file.

import { extname } from 'node:path';

import type { Aggregate, CachedFile, FileCache, Pool } from 'io-lite';
import {
  allowsRange, evaluateConditions, Interest, parseRange, type HttpRequest,
} from 'io-lite/http';

import mimeTypes from 'mime-db';
import { contentType } from 'mime-types';

import { Answers, kOwnStatuses, type Fields, type OwnAnswer } from './answers';
import { Encoder } from './encoder';
import { hasChanged, isMissing, isShortOfDescriptors, messageOf, statusOf } from './failures';
import { FileResource, kConditional, kDecisive } from './file-resource';
import { HeaderRules } from './header-rules';
import { kListingFields, renderListing } from './listing';
import { log } from './log';
import { Negotiation } from './negotiation';
import { pathnameOf, queryOf } from './paths';
import { Preferences } from './preferences';
import type { Representation, Selection } from './representation';
import { ResourceMap } from './resource-map';
import type { Options } from './settings';
import { Site, type Found, type SiteOptions } from './site';
import type { FileFacts } from './status';
import { gather, streamSelection, tryGather } from './stream';

type FoundElse = Exclude<Found, { kind: 'file' }>;

export type StaticFilesOptions = SiteOptions & Pick<Options,
  'cacheBytes' | 'compressBytes' | 'ignoresPrecompressed' | 'cacheControl' | 'headers' | 'types' |
  'errorPages' | 'fallback'>;

// Up to here a file is sent as one aggregate; above, part by part, so that neither the machine nor
// a slow reader's connection holds all of it.
const kWholeBytesMax = 4 << 20;
const kPartBytes = 1 << 20;
// A page that the connections keep for what they answer by themselves is no longer.
const kOwnPageBytesMax = 256 << 10;
// How often an answer is begun anew because the file changed before anything was sent.
const kAttemptsMax = 8;

const kDottedName = /(?:\.|%2e)[^/]*$/i;
const kUnknownType = 'application/octet-stream';

// Others are 501: nobody knows what they mean.
const kOtherMethods = new Set(['POST', 'PUT', 'DELETE', 'TRACE', 'CONNECT', 'PATCH']);

// Borrowed: others may have it, too. Of at most `filesMax` files a descriptor is kept.
export interface Storage {
  readonly pool: Pool;
  readonly cache: FileCache;
  readonly filesMax: number;
  // No answer may be repeated any more.
  readonly forgetAnswers: () => void;
}

export class StaticFiles {
  readonly #options: StaticFilesOptions;
  readonly #answers: Answers;
  readonly #resources: ResourceMap;
  readonly #searches = new Map<string, Promise<FoundElse | FileResource>>();
  readonly #storage: Storage;
  readonly #site: Site;
  readonly #rules: HeaderRules;
  readonly #preferences = new Preferences();
  readonly #encoder: Encoder;
  readonly #negotiation: Negotiation;
  // Heads and all, and found unchanged instead when the file was looked at again.
  #made = 0;
  #kept = 0;
  readonly #wholeBytesMax: number;
  readonly #partBytes: number;

  constructor(options: StaticFilesOptions, storage: Storage) {
    const { cache, filesMax } = storage;
    this.#storage = storage;
    this.#options = options;
    const { cacheBytes, compressBytes, ignoresPrecompressed } = options;
    this.#rules = new HeaderRules([...options.headers, ...options.cacheControl]);
    this.#answers = new Answers(this.#rules.always);
    this.#resources = new ResourceMap(filesMax);
    this.#site = new Site(options, cache);
    this.#wholeBytesMax = Math.min(kWholeBytesMax, Math.floor(cacheBytes / 4));
    this.#partBytes = Math.min(kPartBytes, this.#wholeBytesMax);
    this.#encoder = new Encoder(compressBytes, this.#wholeBytesMax, storage);
    this.#negotiation = new Negotiation(this.#site, this.#encoder, !ignoresPrecompressed);
  }

  // The hot path. May throw: then the request is still to be answered.
  answer(request: HttpRequest, pathname: string): void {
    const { method } = request;
    if (method !== 'GET' && method !== 'HEAD') {
      this.#answerOther(request);
      return;
    }
    if (this.#respondHit(request, this.#resources.peek(pathname))) return;
    const resource = this.#resources.get(pathname);
    if (resource === undefined) {
      void this.answerFromSite(request, request.target);
      return;
    }
    const representation = this.#known(request, resource);
    if (representation !== undefined) {
      const selection = this.#select(request, representation);
      if (selection === undefined) return;
      if (selection === representation.notModified) {
        request.respond(selection.head, null, resource.repeat);
        return;
      }
      if (this.#respondNow(request, selection)) return;
      dispose(selection);
    }
    void this.#answerLater(request, resource.retain(), request.target, 1);
  }

  // By the page of the operator's, or with a text that was made beforehand.
  refuse(request: HttpRequest, status: number): void {
    const page = this.#pageOf(status);
    const fields = this.#answers.fieldsOf(status);
    const respond = (): void => this.#answers.respond(request, status);
    if (page === undefined) respond();
    else void this.#refuseByPage(request, status, page, fields, respond);
  }

  redirectToHttps(request: HttpRequest, location: string): void {
    this.#answers.respondSecureRedirect(request, location);
  }

  // What the connections are to answer by themselves: pages as they are now, else texts. That one is
  // missing has been told (checks.ts).
  ownAnswers(): Promise<OwnAnswer[]> {
    return Promise.all(kOwnStatuses.map(async (status) => {
      const page = this.#pageOf(status);
      try {
        if (page !== undefined) return await this.#ownPage(status, page);
      } catch (error) {
        if (!isMissing(error)) log(`the page for ${status} cannot be sent: ${messageOf(error)}`);
      }
      return this.#answers.ownAnswer(status);
    }));
  }

  #refuseRange(request: HttpRequest, byteLength: number): void {
    const page = this.#pageOf(416);
    const fields = { 'Content-Range': `bytes */${byteLength}` };
    const respond = (): void => this.#answers.respondUnsatisfiable(request, byteLength);
    if (page === undefined) respond();
    else void this.#refuseByPage(request, 416, page, fields, respond);
  }

  stats(): FileFacts {
    return {
      resources: {
        entries: this.#resources.size, entriesMax: this.#resources.entriesMax,
        made: this.#made, kept: this.#kept,
      },
      cache: this.#storage.cache.stats(),
      compression: this.#encoder.stats(),
    };
  }

  dispose(): void {
    this.#resources.close();
    this.#encoder.dispose();
    this.#answers.dispose();
  }

  #answerOther(request: HttpRequest): void {
    const { method } = request;
    if (method === 'OPTIONS') this.#answers.respond(request, 204);
    else this.refuse(request, kOtherMethods.has(method) ? 405 : 501);
  }

  // Most requests: the whole of a file that is in memory and known to be fresh.
  #respondHit(request: HttpRequest, resource: FileResource | undefined): boolean {
    if (resource === undefined || resource.isDue || (request.interests & kDecisive) !== 0) return false;
    const representation = this.#known(request, resource);
    if (representation === undefined) return false;
    const { file, encoded, whole } = representation;
    if (whole.length > this.#wholeBytesMax || request.method !== 'GET') return false;
    const { repeat } = resource;
    if (file !== resource.file && !resource.file.isFresh) return false;
    if (file !== undefined) return request.respondFile(whole.head, file, 0, whole.length, repeat);
    this.#encoder.noteRepeat();
    request.respond(whole.head, encoded?.body, repeat);
    return true;
  }

  // Undefined when it is to be found out which form the client gets.
  #known(request: HttpRequest, resource: FileResource): Representation | undefined {
    if (!resource.facts.isNegotiated || (request.interests & Interest.AcceptEncoding) === 0) {
      return resource.identity;
    }
    const { index } = this.#preferences.of(request);
    const choice = resource.choices[index];
    return choice?.isGone === true ? undefined : choice;
  }

  // Undefined when the answer is none of the file's bytes and has been given.
  #select(request: HttpRequest, representation: Representation): Selection | undefined {
    const { whole } = representation;
    const interests = request.interests & kDecisive;
    if (interests === 0) return whole;
    if ((interests & kConditional) !== 0) {
      const verdict = evaluateConditions((name) => request.header(name), representation);
      if (verdict === 'not-modified') return representation.notModified;
      if (verdict === 'failed') {
        this.refuse(request, 412);
        return undefined;
      }
    }
    if ((interests & Interest.Range) === 0 || request.method !== 'GET') return whole;
    if (!allowsRange((name) => request.header(name), representation)) return whole;
    const ranges = parseRange(request.header('range') ?? '', whole.length);
    if (ranges === 'ignored') return whole;
    if (ranges !== 'unsatisfiable') return representation.selectRanges(ranges);
    this.#refuseRange(request, whole.length);
    return undefined;
  }

  // False when the bytes are not in memory or too many to be sent at once; else it is over.
  #respondNow(request: HttpRequest, selection: Selection): boolean {
    const { head, length } = selection;
    let body: Aggregate | undefined;
    let isOver = true;
    try {
      if (length > 0 && request.method !== 'HEAD') {
        if (length <= this.#wholeBytesMax) body = tryGather(selection);
        isOver = body !== undefined;
      }
      if (isOver) request.respond(head, body);
    } catch (error) {
      isOver = true;
      throw error;
    } finally {
      body?.dispose();
      if (isOver) dispose(selection);
    }
    return isOver;
  }

  // Releases the resource. Never rejects.
  async #answerLater(
    request: HttpRequest, resource: FileResource, url: string, attempt: number,
  ): Promise<void> {
    try {
      const representation = this.#known(request, resource) ?? await this.#choose(request, resource);
      const selection = this.#select(request, representation);
      if (selection !== undefined) await this.#respondLater(request, selection);
    } catch (error) {
      if (hasChanged(error) && attempt < kAttemptsMax) {
        this.#resources.delete(pathnameOf(url));
        void this.answerFromSite(request, url, attempt + 1);
      } else {
        this.fail(request, error);
      }
    } finally {
      resource.release();
    }
  }

  #choose(request: HttpRequest, resource: FileResource): Promise<Representation> {
    return this.#negotiation.choose(resource, this.#preferences.of(request));
  }

  async #respondLater(request: HttpRequest, selection: Selection): Promise<void> {
    if (this.#respondNow(request, selection)) return;
    try {
      if (selection.length > this.#wholeBytesMax) {
        await streamSelection(request, selection, this.#partBytes);
      } else {
        using body = await gather(selection);
        request.respond(selection.head, body);
      }
    } finally {
      dispose(selection);
    }
  }

  // Also for a `url` that a program has sent us to. Never rejects.
  async answerFromSite(request: HttpRequest, url: string, attempt = 1): Promise<void> {
    try {
      const found = await this.#searchOrFallBack(pathnameOf(url));
      if (found instanceof FileResource) {
        await this.#answerLater(request, found.retain(), url, attempt);
      } else {
        this.#respondFound(request, url, found);
      }
    } catch (error) {
      this.fail(request, error);
    }
  }

  // Pages of an application have no dot in their names; what has one is a file that is missing.
  async #searchOrFallBack(pathname: string): Promise<FoundElse | FileResource> {
    const { fallback } = this.#options;
    if (fallback === undefined || kDottedName.test(pathname)) return this.#search(pathname);
    try {
      const found = await this.#search(pathname);
      if (found instanceof FileResource || found.kind !== 'refused' || found.status !== 404) {
        return found;
      }
    } catch (error) {
      if (statusOf(error) !== 404) throw error;
    }
    return this.#resources.get(fallback) ?? this.#search(fallback);
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
    let found: Found;
    try {
      found = await this.#findWithDescriptors(pathname);
    } catch (error) {
      this.#resources.delete(pathname);
      throw error;
    }
    if (found.kind !== 'file') {
      this.#resources.delete(pathname);
      return found;
    }
    const known = this.#resources.peek(pathname);
    if (known?.file === found.file && known.lookAgain()) {
      found.file.close();  // It was opened once more.
      this.#kept++;
      return this.#retainForNow(known);
    }
    let resource: FileResource;
    try {
      resource = this.#resourceOf(found.file);
    } catch (error) {
      found.file.close();
      throw error;
    }
    this.#made++;
    this.#retainForNow(resource);
    this.#resources.set(pathname, resource);
    return resource;
  }

  // Whoever waits for a search looks at the resource before the next turn of the loop.
  #retainForNow(resource: FileResource): FileResource {
    setImmediate(() => resource.release());
    return resource.retain();
  }

  #resourceOf(file: CachedFile): FileResource {
    const { types, ignoresPrecompressed, compressBytes } = this.#options;
    const ending = extname(file.path).slice(1).toLowerCase();
    const configured = types.find(({ extension }) => extension === ending)?.type;
    // Adds the charset of texts.
    const type = contentType(configured ?? `.${ending}`) || configured || kUnknownType;
    const isCompressible = isCompressibleType(type);
    const isEncodable = isCompressible && compressBytes > 0 && type !== kUnknownType;
    const mayHaveSiblings = isCompressible && !ignoresPrecompressed;
    return new FileResource(file, {
      contentType: type,
      fields: this.#rules.fieldsFor(this.#site.nameOf(file)),
      isNegotiated: isEncodable || mayHaveSiblings,
      isEncodable,
      mayHaveSiblings,
    });
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
      case 'moved': {
        this.#answers.respondRedirect(request, `${found.pathname}${queryOf(url)}`);
        break;
      }
      case 'listing': {
        const html = renderListing(found.listing, queryOf(url));
        this.#answers.respondPage(request, kListingFields, html);
        break;
      }
      case 'refused':
        this.refuse(request, found.status);
        break;
    }
  }

  #pageOf(status: number): string | undefined {
    return this.#options.errorPages.find((each) => each.status === status)?.path;
  }

  async #ownPage(status: number, page: string): Promise<OwnAnswer> {
    const found = await this.#retainPage(page);
    try {
      const selection = found.identity.selectAs(status, this.#answers.fieldsOf(status));
      try {
        if (selection.length > kOwnPageBytesMax) throw new Error(`${page} is too long`);
        return { status, head: selection.head.clone(), body: await gather(selection) };
      } finally {
        dispose(selection);
      }
    } finally {
      found.release();
    }
  }

  async #retainPage(page: string): Promise<FileResource> {
    const found = this.#resources.get(page) ?? await this.#search(page);
    if (!(found instanceof FileResource)) throw new Error(`${page} is not served`);
    return found.retain();
  }

  // Never rejects: what is wrong with the page must not hide what was wrong before.
  async #refuseByPage(
    request: HttpRequest, status: number, page: string, fields: Fields, respond: () => void,
  ): Promise<void> {
    try {
      const found = await this.#retainPage(page);
      try {
        await this.#respondLater(request, found.identity.selectAs(status, fields));
      } finally {
        found.release();
      }
    } catch (error) {
      if (!request.isOpen) return;
      log(`the page for ${status} cannot be sent: ${messageOf(error)}`);
      respond();
    }
  }

  // Answers what went wrong, if there still is somebody to be told.
  fail(request: HttpRequest, error: unknown): void {
    if (!request.isOpen) return;  // The client has left.
    const status = statusOf(error);
    if (status >= 500) log(`${status} for ${pathnameOf(request.target)}: ${messageOf(error)}`);
    try {
      this.refuse(request, status);
    } catch (responseError) {
      log(`no answer for ${pathnameOf(request.target)}: ${messageOf(responseError)}`);
      request.abort();
    }
  }
}

function dispose({ head, isTemporary }: Selection): void {
  if (isTemporary) head.dispose();
}

// What mime-db says; texts that it does not know are compressible, too.
function isCompressibleType(type: string): boolean {
  const name = (type.split(';')[0] as string).trim().toLowerCase();
  return mimeTypes[name]?.compressible ?? /^text\/|\+(?:json|text|xml)$/.test(name);
}
