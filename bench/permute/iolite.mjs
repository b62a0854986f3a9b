// The library, by name and nothing else: loading what benches compare with would be half a run.
import { createRequire } from 'node:module';

// Why by way of the top: `bench/` is a package of its own, in which `io-lite` means nothing.
export const iolite = createRequire(new URL('../../package.json', import.meta.url))('io-lite');
