// express.static, the usual way to serve files from Node: opens and streams the file for each request.
import { needs, startScript } from '../node-server.mjs';

export const name = 'express';
export const about = 'express.static as it comes';
export const available = needs('express');
export const start = (options) => startScript('express.mjs', options);
