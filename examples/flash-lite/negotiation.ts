// Which form of a file a client gets: a sibling that was encoded beforehand, what was or is encoded
// here, or the file as it is.

import { setTimeout as delay } from 'node:timers/promises';

import { canEncode, type Encoder } from './encoder';
import { statusOf } from './failures';
import type { FileResource } from './file-resource';
import { kCodings, type Coding, type Preference } from './preferences';
import type { Representation } from './representation';
import type { Site } from './site';

const kSuffixes: Record<Coding, string> = { br: '.br', zstd: '.zst', gzip: '.gz' };

// How long a request waits for a file to be encoded; then it gets it as it is.
const kEncodeWaitMs = 200;

const kNoSiblings: ReadonlyMap<Coding, Representation> = new Map();

export class Negotiation {
  constructor(readonly site: Site, readonly encoder: Encoder, readonly hasSiblings: boolean) {}

  // The caller has retained the resource.
  async choose(resource: FileResource, preference: Preference): Promise<Representation> {
    const siblings = await (resource.siblings ??= this.#findSiblings(resource));
    const { codings, index } = preference;
    const ready = codings.find((coding) => siblings.has(coding));
    if (ready !== undefined) {
      return resource.choices[index] = siblings.get(ready) as Representation;
    }
    const coding = codings.find(canEncode);
    const { file, facts } = resource;
    if (coding === undefined || !facts.isEncodable || !this.encoder.isFor(file.byteLength)) {
      return resource.choices[index] = resource.identity;
    }
    const outcome = await soon(this.encoder.get(file, coding));
    if (outcome === 'useless') return resource.choices[index] = resource.identity;
    if (outcome === 'declined') return resource.decline(index);
    if (outcome === undefined || outcome.isGone) return resource.identity;
    return resource.choices[index] = resource.addEncoded(outcome, coding);
  }

  async #findSiblings(resource: FileResource): Promise<ReadonlyMap<Coding, Representation>> {
    if (!this.hasSiblings) return kNoSiblings;
    const found = new Map<Coding, Representation>();
    try {
      await Promise.all(kCodings.map(async (coding) => {
        const sibling = await this.#findSibling(resource, coding);
        if (sibling !== undefined) found.set(coding, sibling);
      }));
    } catch (error) {
      resource.siblings = undefined;  // Something is short now: the next request looks again.
      throw error;
    }
    return found;
  }

  async #findSibling(
    resource: FileResource, coding: Coding,
  ): Promise<Representation | undefined> {
    try {
      const found = await this.site.findSibling(resource.file.path + kSuffixes[coding]);
      if (found === undefined) return undefined;
      // An older one is of an older version. Whole seconds: archives keep no more.
      if (secondsOf(found.mtimeMs) >= secondsOf(resource.file.mtimeMs)) {
        return resource.addSibling(found, coding);
      }
      found.close();
    } catch (error) {
      if (statusOf(error) >= 500) throw error;
    }
    return undefined;
  }
}

// What it comes to within the time that a request waits, else undefined.
async function soon<T>(outcome: T | Promise<T>): Promise<T | undefined> {
  if (!(outcome instanceof Promise)) return outcome;
  const timer = new AbortController();
  const late = delay(kEncodeWaitMs, undefined, { ref: false, signal: timer.signal });
  try {
    return await Promise.race([outcome, late.catch(() => undefined)]);
  } finally {
    timer.abort();
  }
}

function secondsOf(timeMs: number): number {
  return Math.floor(timeMs / 1000);
}
