// sirv: opens and streams the file for each request, but has looked all of them up before.
import { needs, startScript } from '../node-server.mjs';

export const name = 'sirv';
export const about = 'sirv as for production, on Node http';
export const isOnDemand = true;
export const available = needs('sirv');
export const start = (options) => startScript('sirv.mjs', options);
