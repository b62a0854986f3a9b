// Child processes of a bench: started on one processor, ready when they say so, ended by pid with all they started.
import { spawn } from 'node:child_process';
import { createServer, connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { processTree, startTime } from './cpu.mjs';

const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 5_000;
const KEPT_OUTPUT = 4_000;

/** Debian keeps nginx where only root looks. */
const PATH = `${process.env.PATH}:/usr/local/sbin:/usr/sbin`;

const running = new Set();
let stopping = false;
/** Whoever asks for a new process while all are being ended waits here until the bench is gone. */
const never = new Promise(() => {});

/**
 * Starts a program at its `place`: `{ cpu, namespace }`, the latter a network namespace of `ip netns` or undefined.
 * `ready` (a RegExp) is looked for in its standard output; its first group is the port. Without `ready` the program is
 * ready when `port` of `host` accepts a connection. Resolves to `{ port, pids, stop }`.
 */
export async function startServer({ command, args, place, ready, host, port, cwd, env, readyTimeoutMs = READY_TIMEOUT_MS }) {
  if (stopping) return never;
  const { cpu, namespace } = place;
  const within = namespace === undefined ? [] : ['ip', 'netns', 'exec', namespace];
  const [file, ...argv] = [...within, 'taskset', '-c', String(cpu), command, ...args];
  const child = spawn(file, argv,
    { cwd, env: { ...process.env, PATH, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const server = { pids: [child.pid], stop: () => stopTree(child, server) };
  running.add(server);
  let output = '';
  const ended = new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(`ended with ${signal ?? `status ${code}`}`));
  });
  const said = new Promise((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output = (output + text).slice(-KEPT_OUTPUT);
        const match = ready?.exec(output);
        if (match) resolve({ port: Number(match[1]) });
      });
    }
  });
  const waiting = new AbortController();
  const outcome = await Promise.race([
    ready ? said : accepts(host, port, waiting.signal),
    ended.then((why) => ({ why })),
    delay(readyTimeoutMs, { why: `not ready within ${readyTimeoutMs / 1000} s` }, { signal: waiting.signal }),
  ]);
  waiting.abort();
  if (outcome.why === undefined) return Object.assign(server, { port: outcome.port });
  await server.stop();
  if (stopping) return never;
  throw new Error(`${command} ${outcome.why}${output ? `\n${output.trim()}` : ''}`);
}

/** Runs a program to its end on `cpu`; resolves to `{ code, stdout, stderr }`. `onOutput` is told when it has said something. */
export function run(command, args, { cpu, onOutput = () => {} } = {}) {
  if (stopping) return never;
  const [file, argv] = cpu === undefined ? [command, args] : ['taskset', ['-c', String(cpu), command, ...args]];
  return new Promise((resolve, reject) => {
    const child = spawn(file, argv, { env: { ...process.env, PATH }, stdio: ['ignore', 'pipe', 'pipe'] });
    const entry = { stop: () => stopTree(child, entry), pids: [child.pid] };
    running.add(entry);
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text) => { stdout += text; onOutput(text); });
    child.stderr.setEncoding('utf8').on('data', (text) => { stderr += text; });
    child.once('error', (error) => { running.delete(entry); reject(error); });
    child.once('close', (code) => { running.delete(entry); resolve({ code, stdout, stderr }); });
  });
}

/** The same with this process's own input and output; resolves to its exit status. */
export function runHere(command, args, { env } = {}) {
  if (stopping) return never;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: { ...process.env, PATH, ...env }, stdio: 'inherit' });
    const entry = { stop: () => stopTree(child, entry), pids: [child.pid] };
    running.add(entry);
    child.once('error', (error) => { running.delete(entry); reject(error); });
    child.once('exit', (code) => { running.delete(entry); resolve(code ?? 2); });
  });
}

/** Whether a program is there and answers; `args` should make it end at once. */
export async function exists(command, args) {
  return run(command, args).then(() => true, () => false);
}

/** Ends everything that still runs, for good: nothing is started any more. */
export async function stopAll() {
  stopping = true;
  await Promise.all([...running].map((server) => server.stop()));
}

async function stopTree(child, entry) {
  running.delete(entry);
  if (child.pid === undefined) return;
  // A pid may be used again once its process ended; with the start time it names one process only.
  const tree = processTree([child.pid]).map((pid) => ({ pid, since: startTime(pid) }));
  const left = () => tree.filter(({ pid, since }) => since !== null && startTime(pid) === since);
  signal([child.pid], 'SIGTERM', left());
  for (let waited = 0; left().length > 0 && waited < STOP_TIMEOUT_MS; waited += 10) await delay(10);
  signal(left().map(({ pid }) => pid), 'SIGKILL', left());
}

function signal(pids, name, alive) {
  for (const pid of pids) {
    if (!alive.some((process) => process.pid === pid)) continue;
    try {
      process.kill(pid, name);
    } catch {
      // ended in the meantime
    }
  }
}

/** A port that was free a moment ago, for programs that cannot say which one they took. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

async function accepts(host, port, signal) {
  while (!signal.aborted) {
    const open = await new Promise((resolve) => {
      const socket = connect(port, host);
      socket.once('connect', () => { socket.destroy(); resolve(true); });
      socket.once('error', () => resolve(false));
    });
    if (open) return { port };
    await delay(20);
  }
  return { why: 'was not waited for' };
}
