// The same, but nobody looks for messages before it sleeps: what spinning buys, and what it costs.
import * as spinning from './io-lite.mjs';

export const name = 'io-lite-no-spin';
export const about = 'the same with spinUs: 0 on both sides (small messages only)';
export const sizeMax = 64;
export const available = () => true;

export const openClient = (context) => spinning.openClient(context, { spinUs: 0 });
export const openServer = (context) => spinning.openServer(context, { spinUs: 0 });
