// A file, or stdout, that text is appended to without anybody waiting for it: one write at a time, what
// comes meanwhile is kept up to a bound, and beyond that dropped and counted.

import { close, open, write } from 'node:fs';
import { promisify } from 'node:util';

import { explain, SettingProblem } from './failures';
import { log } from './log';
import type { Options } from './settings';

const openFile = promisify(open);
const closeFile = promisify(close);
const writeFile = promisify(write);

const kPendingBytesMax = 32 << 20;
const kMode = 0o640;
const kStdout = 1;

export class LogFile {
  dropped = 0;
  #pending: Buffer[] = [];
  #bytes = 0;
  #lines = 0;
  #writing: Promise<void> | undefined;
  #reopening = false;
  #hasFailed = false;

  private constructor(
    readonly path: string, private fd: number, readonly complain: (message: string) => void,
  ) {}

  // `-` is stdout. Rejects when it cannot be opened.
  static async open(path: string, complain: (message: string) => void): Promise<LogFile> {
    const fd = path === '-' ? kStdout : await openFile(path, 'a', kMode);
    return new LogFile(path, fd, complain);
  }

  get isBusy(): boolean {
    return this.#writing !== undefined;
  }

  // `text` is whole lines, `count` of them. A buffer is the file's from now on.
  write(text: string | Buffer, count = 1): void {
    const bytes = typeof text === 'string' ? Buffer.from(text) : text;
    if (this.#bytes + bytes.length > kPendingBytesMax) {
      this.dropped += count;
      return;
    }
    this.#pending.push(bytes);
    this.#bytes += bytes.length;
    this.#lines += count;
    this.#work();
  }

  // After a rotation: the file of that name, which is made if need be.
  reopen(): void {
    this.#reopening = this.path !== '-';
    this.#work();
  }

  // Once all is written. What cannot be written is lost.
  async close(): Promise<void> {
    await this.#writing;
    if (this.fd !== kStdout) await closeFile(this.fd).catch(() => undefined);
  }

  #work(): void {
    this.#writing ??= this.#run().finally(() => {
      this.#writing = undefined;
      if (this.#bytes > 0 || this.#reopening) this.#work();
    });
  }

  async #run(): Promise<void> {
    while (this.#bytes > 0 || this.#reopening) {
      try {
        if (this.#bytes > 0) await this.#writePending();
        if (this.#reopening) await this.#openAnew();
        this.#hasFailed = false;
      } catch (error) {
        if (!this.#hasFailed) this.complain(`${this.path}: ${(error as Error).message}`);
        this.#hasFailed = true;
      }
    }
  }

  async #writePending(): Promise<void> {
    const [first] = this.#pending;
    const bytes = this.#pending.length === 1 && first ? first : Buffer.concat(this.#pending);
    const lines = this.#lines;
    this.#pending = [];
    this.#bytes = this.#lines = 0;
    try {
      await this.#writeAll(bytes);
    } catch (error) {
      this.dropped += lines;
      throw error;
    }
  }

  async #writeAll(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      try {
        at += (await writeFile(this.fd, bytes, at, bytes.length - at, null)).bytesWritten;
      } catch (error) {
        // A stdout that somebody has made non-blocking.
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  }

  async #openAnew(): Promise<void> {
    this.#reopening = false;
    const fd = await openFile(this.path, 'a', kMode);
    const old = this.fd;
    this.fd = fd;
    await closeFile(old);
  }
}

export interface Logs {
  access: LogFile | undefined;
  errors: LogFile | undefined;
}

// Those that are named; none is open when it throws a SettingProblem.
export async function openLogs({ accessLog, errorLog }: Pick<Options, 'accessLog' | 'errorLog'>): Promise<Logs> {
  const access = await openLog('access-log', accessLog, log);
  try {
    return { access, errors: await openLog('error-log', errorLog, complainOnStderr) };
  } catch (error) {
    await access?.close();
    throw error;
  }
}

async function openLog(
  setting: string, path: string | undefined, complain: (message: string) => void,
): Promise<LogFile | undefined> {
  if (path === undefined) return undefined;
  try {
    return await LogFile.open(path, complain);
  } catch (error) {
    throw new SettingProblem(setting, `cannot write ${path}: ${explain(error)}`);
  }
}

function complainOnStderr(message: string): void {
  process.stderr.write(`flash-lite: ${message}\n`);
}
