/**
 * Starting programs through the launcher, a small process beside the addon that forks in our place.
 *
 * It lives while there are programs to start, is started anew when it has died, and ends with us:
 * then it ends its programs, too.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync } from 'node:fs';
import { constants } from 'node:os';

import { IolError, isIolError } from '../errors';
import { ready } from '../io/descriptor';
import { launcherPath, native } from '../native';

declare module '../native' {
  interface NativeAddon {
    /** scratch: our end of a new socket, the launcher's end. */
    launcherPair(): void;
    /** False: not now. scratch: our ends of input (or -1), output and errors. */
    launcherStart(socket: number, message: Uint8Array, hasInput: boolean): boolean;
    launcherSignal(socket: number, order: number, id: number): boolean;
    /** False: nothing now. scratch: event, id, value, signal. */
    launcherReceive(socket: number): boolean;
  }
}

const { scratch } = native;

/** As in launch_message.h. */
enum Order { Start = 1, Terminate = 2, Kill = 3 }
enum Event { Started = 1, Failed = 2, Ended = 3 }

/** How long a launcher that is not needed stays. */
const idleMs = 10_000;

const goneText = 'The launcher of programs is gone';

const signalNames = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/** What is to be started. Texts are bytes as latin1: paths and values may be any but NUL. */
export interface LaunchRequest {
  readonly path: string;
  readonly folder: string;
  readonly arguments: readonly string[];
  /** `NAME=VALUE`. */
  readonly environment: readonly string[];
  readonly hasInput: boolean;
}

/** How a program ended; a signal of `lost` when the launcher died, and most likely the program. */
export interface ProgramEnd {
  readonly exitCode: number;
  readonly signal: string | undefined;
}

/** A program that runs, or has run. The descriptors are its user's, to be closed by {@link close}. */
export class LaunchedProgram {
  readonly ended: Promise<ProgramEnd>;
  end: ProgramEnd | undefined;
  /** 0 until it runs. */
  pid = 0;
  /** @internal With what it could not be started for. */
  readonly started: Promise<IolError | undefined>;
  /** @internal */
  onStarted!: (error: IolError | undefined) => void;
  readonly #launcher: LauncherProcess;
  readonly #id: number;
  readonly #open: Set<number>;
  #tellEnded!: (end: ProgramEnd) => void;

  constructor(
    launcher: LauncherProcess, id: number,
    readonly input: number, readonly output: number, readonly errors: number,
  ) {
    this.#launcher = launcher;
    this.#id = id;
    this.#open = new Set([input, output, errors].filter((fd) => fd >= 0));
    this.started = new Promise((resolve) => (this.onStarted = resolve));
    this.ended = new Promise((resolve) => (this.#tellEnded = resolve));
  }

  /** Asks the program and its process group to end, or ends them. */
  signal(order: 'terminate' | 'kill'): void {
    if (this.end !== undefined) return;
    this.#launcher.signal(order === 'kill' ? Order.Kill : Order.Terminate, this.#id);
  }

  /** Closes one of the descriptors, once. */
  close(fd: number): void {
    if (this.#open.delete(fd)) closeSync(fd);
  }

  closeAll(): void {
    for (const fd of [...this.#open]) this.close(fd);
  }

  /** @internal */
  onEnded(end: ProgramEnd): void {
    if (this.end !== undefined) return;
    this.end = end;
    this.#tellEnded(end);
  }
}

/** The kernel has ended the program with its launcher; this is for those that it has started. */
function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nobody is left.
  }
}

function startError(path: string, errno: number): IolError {
  return new IolError('ERR_IOL_SYSTEM', `The program ${path} could not be started`, {
    errno: -errno, syscall: 'execve', path,
  });
}

function encode(request: LaunchRequest, id: number): Buffer {
  const texts = [request.path, request.folder, ...request.arguments, ...request.environment];
  const body = Buffer.from(`${texts.join('\0')}\0`, 'latin1');
  const message = Buffer.alloc(16 + body.length);
  new Uint32Array(message.buffer, message.byteOffset, 4)
    .set([Order.Start, id, request.arguments.length, request.environment.length]);
  message.set(body, 16);
  return message;
}

/** One launcher process and what it runs. */
class LauncherProcess {
  readonly #child: ChildProcess;
  readonly #socket: number;
  readonly #programs = new Map<number, LaunchedProgram>();
  readonly #whenGone: () => void;
  #isReading = false;
  #isGone = false;
  #lastId = 0;
  #starting: Promise<unknown> = Promise.resolve();
  readonly #stop = new AbortController();

  constructor(whenGone: () => void) {
    this.#whenGone = whenGone;
    native.launcherPair();
    const [ours, theirs] = [scratch[0]!, scratch[1]!];
    try {
      this.#child = spawn(launcherPath(), [], {
        stdio: ['ignore', 'ignore', 'inherit', theirs], detached: true, env: {}, cwd: '/',
      });
    } catch (error) {
      closeSync(ours);
      throw error;
    } finally {
      closeSync(theirs);
    }
    this.#socket = ours;
    this.#child.unref();
    this.#child.on('error', () => this.#gone());
    this.#child.on('exit', () => this.#gone());
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get isIdle(): boolean {
    return this.#programs.size === 0;
  }

  /**
   * Resolves when the program runs, or with undefined when the launcher was gone before it could be
   * asked. Rejects with the errno of execve, or ERR_IOL_CLOSED: then the program may have run.
   */
  start(request: LaunchRequest): Promise<LaunchedProgram | undefined> {
    const started = this.#starting.then(() => this.#start(request));
    this.#starting = started.catch(() => undefined);
    return started;
  }

  async #start(request: LaunchRequest): Promise<LaunchedProgram | undefined> {
    const id = ++this.#lastId;
    const program = await this.#ask(id, encode(request, id), request.hasInput);
    if (program === undefined) return undefined;
    const error = await program.started;
    if (error === undefined) return program;
    program.closeAll();
    if (error.errno === undefined) throw error;
    throw startError(request.path, -error.errno);
  }

  // Undefined: the launcher is gone, and has not been asked.
  async #ask(id: number, message: Buffer, hasInput: boolean): Promise<LaunchedProgram | undefined> {
    try {
      while (!this.#isGone) {
        if (native.launcherStart(this.#socket, message, hasInput)) {
          const program = new LaunchedProgram(this, id, scratch[0]!, scratch[1]!, scratch[2]!);
          this.#programs.set(id, program);
          void this.#readReports();
          return program;
        }
        await ready(this.#socket, true, this.#stop.signal);
      }
    } catch (error) {
      // The end of its socket may be seen before its own.
      if (isIolError(error) && error.code === 'ERR_IOL_CLOSED') this.#gone();
      if (!this.#isGone) throw error;
    }
    return undefined;
  }

  signal(order: Order, id: number): void {
    if (!this.#isGone) native.launcherSignal(this.#socket, order, id);
  }

  /** The launcher ends what it runs, then itself. */
  close(): void {
    this.#gone();
  }

  async #readReports(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      while (this.#programs.size > 0 && !this.#isGone) {
        if (native.launcherReceive(this.#socket)) this.#onReport();
        else await ready(this.#socket, false, this.#stop.signal);
      }
    } catch {
      this.#gone();
    } finally {
      this.#isReading = false;
    }
  }

  #onReport(): void {
    const [event, id, value, signal] = scratch as unknown as [Event, number, number, number];
    const program = this.#programs.get(id);
    if (program === undefined) return;
    if (event === Event.Started) {
      program.pid = value;
      return program.onStarted(undefined);
    }
    this.#programs.delete(id);
    if (event === Event.Failed) return program.onStarted(startError('', value));
    const name = signal === 0 ? undefined : signalNames.get(signal) ?? `signal ${signal}`;
    program.onEnded({ exitCode: value, signal: name });
  }

  // Its end may be heard of before what it had said: whose programs run is to be known, to end them.
  #takeLastReports(): void {
    try {
      while (native.launcherReceive(this.#socket)) this.#onReport();
    } catch {
      // The end of the socket.
    }
  }

  #gone(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#stop.abort();
    this.#takeLastReports();
    closeSync(this.#socket);
    for (const program of this.#programs.values()) {
      program.onStarted(new IolError('ERR_IOL_CLOSED', goneText));
      if (program.pid > 0) killGroup(program.pid);
      program.onEnded({ exitCode: 0, signal: 'lost' });
    }
    this.#programs.clear();
    this.#whenGone();
  }
}

/** Starts programs, with a launcher process when there is work for one. */
export class Launcher {
  #process: LauncherProcess | undefined;
  #isClosed = false;
  #idleTimer: NodeJS.Timeout | undefined;

  /** Of the launcher that is there now, for figures and tests. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /**
   * Starts a program; resolves when its exec has succeeded.
   *
   * @throws {IolError} `ERR_IOL_SYSTEM` (ENOENT, EACCES, ENOEXEC, E2BIG, EAGAIN, …),
   * `ERR_IOL_TOO_LARGE` (arguments and environment of more than 160 KiB), `ERR_IOL_CLOSED`.
   */
  async start(request: LaunchRequest): Promise<LaunchedProgram> {
    // Killed between two programs: it is started anew, once. Never when it had been asked: a program
    // that has run for a request must not run for it again.
    for (let attempt = 1; attempt <= 2; attempt++) {
      if (this.#isClosed) throw new IolError('ERR_IOL_CLOSED', 'The launcher of programs is closed');
      const program = await this.#current().start(request);
      if (program !== undefined) return program;
    }
    throw new IolError('ERR_IOL_CLOSED', goneText);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#idleTimer);
    this.#process?.close();
  }

  #current(): LauncherProcess {
    this.#process ??= new LauncherProcess(() => (this.#process = undefined));
    this.#idleTimer ??= setTimeout(() => this.#onIdleTimer(), idleMs).unref();
    this.#idleTimer.refresh();
    return this.#process;
  }

  #onIdleTimer(): void {
    if (this.#process?.isIdle === false) this.#idleTimer?.refresh();
    else this.#process?.close();
  }
}
