// A server with one worker and a pool that is too small for a part: node files-server.mjs MODULE [ROOT]
import { FileCache, Window } from 'io-lite';
import { CgiWorkers } from 'io-lite/cgi';
import { HttpServer } from 'io-lite/http';

const [, , module, root] = process.argv;
const window = await Window.create();
const cache = new FileCache({ pool: window.createPool({ maxBytes: 256 << 10 }) });
const files = root === undefined ? {} : { files: { root, cache } };
const workers = new CgiWorkers({ module, scriptName: '/app', log: console.error, ...files });
const server = await HttpServer.listen({ host: '127.0.0.1', port: 0 }, (request) => workers.answer(request));
console.log(`flash-lite: serving ${root} on http://127.0.0.1:${server.port}`);
