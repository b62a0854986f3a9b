// One line for what an operator must know, on stderr or in a file. The same line at most once a second;
// when that is over, how often it came meanwhile, as syslogd tells it.

import type { LogFile } from './log-file';

const kQuietMs = 1000;
let file: LogFile | undefined;

interface Quiet {
  repeats: number;
  timer: NodeJS.Timeout;
}
const quiet = new Map<string, Quiet>();

export function log(message: string): void {
  const known = quiet.get(message);
  if (known !== undefined) {
    known.repeats++;
    return;
  }
  put(message);
  beQuiet(message);
}

export function loggedTo(): LogFile | undefined {
  return file;
}

// From now on; the one before, if any, is told what it still must know, and is the caller's to close.
export function logTo(next: LogFile | undefined): void {
  for (const [message, { repeats, timer }] of quiet) {
    clearTimeout(timer);
    putRepeats(message, repeats);
  }
  quiet.clear();
  file = next;
}

function beQuiet(message: string): void {
  const timer = setTimeout(() => {
    quiet.delete(message);
    if (entry.repeats === 0) return;
    putRepeats(message, entry.repeats);
    beQuiet(message);
  }, kQuietMs).unref();
  const entry: Quiet = { repeats: 0, timer };
  quiet.set(message, entry);
}

function putRepeats(message: string, repeats: number): void {
  if (repeats > 0) put(`message repeated ${repeats} times: [ ${message} ]`);
}

function put(message: string): void {
  if (file === undefined) process.stderr.write(`flash-lite: ${message}\n`);
  else file.write(`${new Date().toISOString()} flash-lite: ${message}\n`);
}
