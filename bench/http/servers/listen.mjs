// What the servers in this folder share: where they listen, and connections that stay.
const KEEP_ALIVE_MS = 300_000;

/** Of a server of Node's `http`: says when it is ready, and leaves connections open that others keep idle. */
export function listen(server, host) {
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.listen(0, host, () => console.log(`ready ${server.address().port}`));
}
