// uws.mjs ROOT HOST [CERT KEY]: every file of ROOT from memory by uWebSockets.js.
import uWS from 'uWebSockets.js';
import { readAll } from './memory.mjs';

const [root, host, cert_file_name, key_file_name] = process.argv.slice(2);
const files = readAll(root);

/** A large answer leaves in parts, as its socket takes them. */
function send(response, body) {
  const [, isDone] = response.tryEnd(body, body.length);
  if (isDone) return;
  response.onAborted(() => {});
  response.onWritable((offset) => response.tryEnd(body.subarray(offset), body.length)[1]);
}

const app = cert_file_name === undefined ? uWS.App() : uWS.SSLApp({ cert_file_name, key_file_name });
app.get('/*', (response, request) => {
  const file = files.get(request.getUrl());
  if (file === undefined) response.writeStatus('404 Not Found').endWithoutBody(0);
  else if (request.getHeader('if-none-match') === file.tag) {
    response.writeStatus('304 Not Modified').writeHeader('ETag', file.tag).endWithoutBody();
  } else {
    response.cork(() => {
      response.writeHeader('Content-Type', 'application/octet-stream').writeHeader('ETag', file.tag);
      send(response, file.body);
    });
  }
}).listen(host, 0, (socket) => console.log(`ready ${uWS.us_socket_local_port(socket)}`));
