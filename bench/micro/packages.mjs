// The library and what it is compared with. A rival that is not installed is `null` and left out.
import { createRequire } from 'node:module';

// Why by way of the top: `bench/` is a package of its own, in which `io-lite` means nothing.
const fromTop = createRequire(new URL('../../package.json', import.meta.url));

async function installed(load) {
  try {
    return await load();
  } catch (error) {
    if (error.code === 'MODULE_NOT_FOUND' || error.code === 'ERR_MODULE_NOT_FOUND') return null;
    throw error;
  }
}

export const iolite = fromTop('io-lite');
export const inspect = fromTop('io-lite/inspect');
export const Benchmark = fromTop('benchmark');
export { BufferList } from 'bl';
export const Uint8ArrayList =
  await installed(async () => (await import('uint8arraylist')).Uint8ArrayList);
