/** Programs that are looked at, and the CLI that looks. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';

const root = path.join(__dirname, '..', '..');

/** A program of its own process that says one line of JSON when it is ready, then does as told. */
export class Program {
  private constructor(
    readonly child: ChildProcess,
    private readonly lines: AsyncIterator<string>,
  ) {}

  /** `source` is CommonJS. `say(value)` answers; `onLine(async (line) => …)` gets what is told. */
  static start(source: string, env: NodeJS.ProcessEnv = {}): Program {
    const prelude = `
      const say = (value) => process.stdout.write(JSON.stringify(value) + '\\n');
      const onLine = (take) => require('node:readline').createInterface({ input: process.stdin })
        .on('line', take).on('close', () => process.exit(0));
    `;
    const child = spawn(process.execPath, ['-e', `${prelude}${source}`], {
      cwd: root, env: { ...process.env, IOL_WINDOW: '', ...env }, stdio: ['pipe', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    return new Program(child, lines);
  }

  get pid(): number {
    return this.child.pid!;
  }

  async answer<T>(): Promise<T> {
    const line = await this.lines.next();
    if (line.done === true) throw new Error('the program has ended');
    return JSON.parse(line.value) as T;
  }

  tell<T>(line: string): Promise<T> {
    this.child.stdin!.write(`${line}\n`);
    return this.answer<T>();
  }

  async end(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = once(this.child, 'exit');
    this.child.kill(signal);
    await gone;
  }
}

export interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs the CLI. */
export function iol(args: string[], env: NodeJS.ProcessEnv = {}): Ran {
  const main = path.join(root, 'dist/cli/main.js');
  const ran = spawnSync(process.execPath, [main, ...args], {
    encoding: 'utf8', env: { ...process.env, IOL_WINDOW: '', NO_COLOR: '', ...env },
  });
  return { code: ran.status, stdout: ran.stdout, stderr: ran.stderr };
}

/** The same with --json, parsed. */
export function iolJson<T>(args: string[], env: NodeJS.ProcessEnv = {}): T {
  const { stdout, stderr, code } = iol([...args, '--json'], env);
  if (code !== 0 && code !== 3) throw new Error(`iol ${args.join(' ')}: ${code}: ${stderr}`);
  return JSON.parse(stdout) as T;
}
