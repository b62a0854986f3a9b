// express.mjs ROOT HOST: express.static with its defaults.
import { createServer } from 'node:http';
import express from 'express';
import { listen } from './listen.mjs';

const [root, host] = process.argv.slice(2);
listen(createServer(express().use(express.static(root))), host);
