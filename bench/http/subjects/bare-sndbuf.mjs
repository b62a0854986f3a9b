// The yardstick with a small send buffer: large answers go out in pieces that stay in the processor's caches.
import { startBare } from '../bare.mjs';

export const name = 'bare-sndbuf';
export const about = 'the same with SO_SNDBUF capped at 128 KiB';
export const available = async () => true;
export const start = (options) => startBare(options, ['--sndbuf', String(128 << 10)]);
