// One line for what an operator must know, on stderr or in a file; the same line at most once a second.

import type { LogFile } from './log-file';

const kQuietMs = 1000;
const recent = new Map<string, number>();
let file: LogFile | undefined;

export function log(message: string): void {
  const now = Date.now();
  for (const [text, at] of recent) {
    if (now - at >= kQuietMs) recent.delete(text);
  }
  if (recent.has(message)) return;
  recent.set(message, now);
  if (file === undefined) process.stderr.write(`flash-lite: ${message}\n`);
  else file.write(`${new Date(now).toISOString()} flash-lite: ${message}\n`);
}

// From now on; the one before, if any, is the caller's to close.
export function logTo(next: LogFile | undefined): LogFile | undefined {
  const before = file;
  file = next;
  return before;
}
