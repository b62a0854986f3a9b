// Starts the real command line in a process of its own and waits for its one line.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

export const repository = path.join(__dirname, '..', '..', '..');
export const mainScript = path.join(repository, 'examples', 'flash-lite', 'dist', 'main.js');

const kWatchdogMs = 20_000;

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** A child whose output is kept and whose end can be waited for. */
export class Program {
  stdout = '';
  stderr = '';
  readonly exit: Promise<Exit>;

  constructor(readonly child: ChildProcess) {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.exit = new Promise((resolve) => {
      child.on('close', (code, signal) => {
        resolve({ code, signal, stdout: this.stdout, stderr: this.stderr });
      });
    });
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }
}

const programs = new Set<Program>();

export function run(command: string, args: readonly string[], cwd = repository): Program {
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const program = new Program(child);
  programs.add(program);
  void program.exit.then(() => programs.delete(program));
  return program;
}

export function runFlashLite(...options: string[]): Program {
  if (!existsSync(mainScript)) throw new Error(`${mainScript} is missing: npm run build`);
  return run(process.execPath, [mainScript, ...options]);
}

/** For an `after` hook: ends what a failed test has left. */
export async function stopPrograms(): Promise<void> {
  for (const program of [...programs]) {
    program.child.kill('SIGKILL');
    await program.exit;
  }
}

/** Polls until `condition` holds; fails, saying what it waited for, when it never does. */
export async function until(
  what: string, condition: () => boolean | Promise<boolean>, watchdogMs = kWatchdogMs,
): Promise<void> {
  const end = Date.now() + watchdogMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited ${watchdogMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export const kReadyLine = /^flash-lite: serving (.*) on (https?:\/\/.*:(\d+))$/m;

export interface Server {
  program: Program;
  root: string;
  url: string;
  port: number;
  pid: number;
}

export async function ready(program: Program): Promise<Server> {
  await until('the ready line', () => kReadyLine.test(program.stdout) || !program.isRunning);
  const match = kReadyLine.exec(program.stdout);
  if (match === null) throw new Error(`the server ended: ${program.stderr}`);
  const [, root, url, port] = match as unknown as [string, string, string, string];
  return { program, root, url, port: Number(port), pid: program.child.pid as number };
}

/** Serves `root` on a port that the system chooses. */
export function start(root: string, ...options: string[]): Promise<Server> {
  return ready(runFlashLite('--root', root, '--port', '0', ...options));
}

export async function stop(server: Server): Promise<Exit> {
  server.program.child.kill('SIGTERM');
  return server.program.exit;
}

/** The only child of a process: what strace runs. */
export function childOf(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  if (children.length !== 1) throw new Error(`${pid} has ${children.length} children`);
  return Number(children[0]);
}
