/** What the kernel says of a process. */
import { readFileSync } from 'node:fs';

/** `unknown`: it may not be looked at, or is of another pid namespace. */
export type ProcessState = 'running' | 'stopped' | 'dead' | 'unknown';

function readProc(pid: number, name: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' || code === 'ESRCH' ? '' : undefined;
  }
}

export function stateOf(pid: number): ProcessState {
  const stat = readProc(pid, 'stat');
  if (stat === undefined) return 'unknown';
  const state = /\) (\w)/.exec(stat.slice(stat.lastIndexOf(')')))?.[1];
  if (state === undefined || state === 'Z' || state === 'X') return 'dead';
  return state === 'T' || state === 't' ? 'stopped' : 'running';
}

/** The command line; '' when it is not known. Control characters become `?`. */
export function commandOf(pid: number): string {
  const words = (readProc(pid, 'cmdline') ?? '').split('\0');
  return words.join(' ').trim().replace(/\p{Cc}/gu, '?');
}

/** The user that it runs as; -1 when it is not known. */
export function userOf(pid: number): number {
  const line = /^Uid:\s+\d+\s+(\d+)/m.exec(readProc(pid, 'status') ?? '');
  return line === null ? -1 : Number(line[1]);
}
