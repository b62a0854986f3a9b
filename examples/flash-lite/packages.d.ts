// Types of packages that have none, as far as they are used here.

declare module 'mime-db' {
  const types: Readonly<Record<string, { compressible?: boolean } | undefined>>;
  export default types;
}

declare module 'negotiator' {
  export default class Negotiator {
    constructor(request: { headers: Record<string, string> });
    // Best first; of equal quality those first that come first in `preferred`.
    encodings(available: string[], options: { preferred: string[] }): string[];
  }
}

declare module 'picomatch' {
  export default function picomatch(
    pattern: string, options: { dot: boolean },
  ): (text: string) => boolean;
}
