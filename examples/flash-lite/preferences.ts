// From Accept-Encoding to the codings that a client wants rather than the file as it is.

import { Interest, type HttpRequest } from 'io-lite/http';

import Negotiator from 'negotiator';

export type Coding = 'br' | 'zstd' | 'gzip';

// Best first, for clients that have no preference of their own.
export const kCodings: readonly Coding[] = ['br', 'zstd', 'gzip'];

export interface Preference {
  readonly index: number;  // Small and dense: the same codings have the same.
  readonly codings: readonly Coding[];
}

// Browsers send a handful of different headers; who sends more is read anew now and then.
const kHeadersMax = 256;

// The numbers of values that are remembered, by their last bits.
const kIdMask = 0xff;

export class Preferences {
  readonly #ids = new Float64Array(kIdMask + 1);
  readonly #byId: (Preference | undefined)[] = new Array<undefined>(kIdMask + 1).fill(undefined);
  readonly #byHeader = new Map<string, Preference>();
  readonly #byCodings = new Map<string, Preference>();

  // Of the hot path: no string and nothing else is made for a header that was seen before.
  of(request: HttpRequest): Preference {
    const id = request.valueId(Interest.AcceptEncoding);
    const slot = id & kIdMask;
    if (id !== 0 && this.#ids[slot] === id) return this.#byId[slot] as Preference;
    const found = this.#ofHeader(request.header('accept-encoding') ?? '');
    this.#ids[slot] = id;
    this.#byId[slot] = found;
    return found;
  }

  #ofHeader(header: string): Preference {
    let found = this.#byHeader.get(header);
    if (found === undefined) {
      found = this.#find(header);
      if (this.#byHeader.size === kHeadersMax) this.#byHeader.clear();
      this.#byHeader.set(header, found);
    }
    return found;
  }

  #find(header: string): Preference {
    const negotiator = new Negotiator({ headers: { 'accept-encoding': header } });
    const order = negotiator.encodings([...kCodings, 'identity'], { preferred: [...kCodings] });
    const end = order.indexOf('identity');
    const codings = (end < 0 ? order : order.slice(0, end)) as Coding[];
    const key = codings.join();
    let preference = this.#byCodings.get(key);
    if (preference === undefined) {
      preference = { index: this.#byCodings.size, codings };
      this.#byCodings.set(key, preference);
    }
    return preference;
  }
}
