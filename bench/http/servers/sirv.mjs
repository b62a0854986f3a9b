// sirv.mjs ROOT HOST: sirv as its readme has it for production: files are looked up once, at the start.
import { createServer } from 'node:http';
import sirv from 'sirv';
import { listen } from './listen.mjs';

const [root, host] = process.argv.slice(2);
listen(createServer(sirv(root, { etag: true })), host);
