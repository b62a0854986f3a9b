// From Accept-Encoding to the codings that a client wants rather than the file as it is.

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

export class Preferences {
  readonly #byHeader = new Map<string, Preference>();
  readonly #byCodings = new Map<string, Preference>();
  #lastHeader = '';
  #last = this.#find('');

  // Of the hot path: no allocation for a header that was seen before.
  of(header: string): Preference {
    // Why: to compare is cheaper than to hash, and clients are much alike.
    if (header === this.#lastHeader) return this.#last;
    let found = this.#byHeader.get(header);
    if (found === undefined) {
      found = this.#find(header);
      if (this.#byHeader.size === kHeadersMax) this.#byHeader.clear();
      this.#byHeader.set(header, found);
    }
    this.#lastHeader = header;
    this.#last = found;
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
