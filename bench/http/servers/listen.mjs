// What the servers in this folder share: where they listen, and connections that stay.
import { readFileSync } from 'node:fs';

const KEEP_ALIVE_MS = 300_000;

/** Of a server of Node's `http`: says when it is ready, and leaves connections open that others keep idle. */
export function listen(server, host) {
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.listen(0, host, () => console.log(`ready ${server.address().port}`));
}

/** Certificate and key for TLS; undefined without. */
export const readTls = (certFile, keyFile) => (certFile === undefined ? undefined :
  { cert: readFileSync(certFile), key: readFileSync(keyFile) });
