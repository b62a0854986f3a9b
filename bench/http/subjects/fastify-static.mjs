// @fastify/static: opens and streams the file for each request.
import { needs, startScript } from '../node-server.mjs';

export const name = 'fastify-static';
export const about = '@fastify/static as it comes';
export const isOnDemand = true;
export const available = needs('@fastify/static');
export const start = (options) => startScript('fastify-static.mjs', options);
