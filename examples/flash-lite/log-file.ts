// A file, or stdout, that text is appended to without anybody waiting for it: one write at a time, what
// comes meanwhile is kept up to a bound, and beyond that dropped and counted.

import { close, open, write } from 'node:fs';
import { promisify } from 'node:util';

const openFile = promisify(open);
const closeFile = promisify(close);
const writeFile = promisify(write);

const kPendingMax = 8 << 20;  // Characters.
const kMode = 0o640;
const kStdout = 1;

export class LogFile {
  dropped = 0;
  #pending: string[] = [];
  #length = 0;
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

  // `lines` of whole lines, of which `count` there are.
  write(lines: string, count = 1): void {
    if (this.#length + lines.length > kPendingMax) {
      this.dropped += count;
      return;
    }
    this.#pending.push(lines);
    this.#length += lines.length;
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
      if (this.#length > 0 || this.#reopening) this.#work();
    });
  }

  async #run(): Promise<void> {
    while (this.#length > 0 || this.#reopening) {
      const bytes = Buffer.from(this.#pending.join(''));
      this.#pending = [];
      this.#length = 0;
      try {
        await this.#writeAll(bytes);
        if (this.#reopening) await this.#openAnew();
        this.#hasFailed = false;
      } catch (error) {
        this.#reopening = false;
        this.dropped++;
        if (!this.#hasFailed) this.complain(`${this.path}: ${(error as Error).message}`);
        this.#hasFailed = true;
      }
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
