// Runs a piece of JavaScript in a process of its own, for what may die, hang or wait for garbage.
import { spawn } from 'node:child_process';
import path from 'node:path';

export interface ChildResult {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  /** The watchdog ended it. */
  hung: boolean;
}

export interface ChildOptions {
  nodeOptions?: string[];
  env?: Record<string, string>;
  watchdogMs?: number;
}

const root = path.join(__dirname, '..', '..');

/** `source` is CommonJS; `require('io-lite')` works in it. */
export function runChild(source: string, options: ChildOptions = {}): Promise<ChildResult> {
  const { nodeOptions = [], env = {}, watchdogMs = 30_000 } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...nodeOptions, '-e', source], {
      cwd: root,
      env: { ...process.env, NODE_OPTIONS: '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const result: ChildResult = { code: null, signal: null, stdout: '', stderr: '', hung: false };
    const watchdog = setTimeout(() => {
      result.hung = true;
      child.kill('SIGKILL');
    }, watchdogMs);
    child.stdout.setEncoding('utf8').on('data', (text: string) => (result.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (result.stderr += text));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(watchdog);
      resolve({ ...result, code, signal });
    });
  });
}
