// Every file of a folder in memory, for servers that answer from there.
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Map of path to `{ body, tag, headers }`. */
export function readAll(root) {
  const paths = readdirSync(root, { recursive: true }).filter((path) => statSync(join(root, path)).isFile());
  return new Map(paths.map((path, i) => {
    const body = readFileSync(join(root, path));
    const tag = `"${i.toString(16)}-${body.length.toString(16)}"`;
    return [`/${path}`, {
      body, tag, headers: { 'Content-Type': 'application/octet-stream', 'Content-Length': body.length, ETag: tag },
    }];
  }));
}
