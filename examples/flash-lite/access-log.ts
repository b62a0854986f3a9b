// The access log. The servers keep records; a few times a second they are taken, written as text and
// appended to a file, so that no request waits for a log.

import type { HttpServer } from 'io-lite/http';

import type { LogFile } from './log-file';
import { kWriters, type LogFormat } from './log-format';

const kIntervalMs = 50;
const kRecordBytesMax = 4 << 20;  // Of each server.
export class AccessLog {
  #servers: HttpServer[] = [];
  readonly #timer = setInterval(() => this.flush(), kIntervalMs);
  #lines = 0;

  constructor(readonly file: LogFile, readonly format: LogFormat) {
    this.#timer.unref();
  }

  add(server: HttpServer): void {
    server.logAnswers(kRecordBytesMax);
    this.#servers.push(server);
  }

  flush(): void {
    const write = kWriters[this.format];
    for (const server of this.#servers) {
      const records = server.takeAnswers();
      if (records.length === 0) continue;
      let text = '';
      for (const record of records) text += `${write(record)}\n`;
      this.#lines += records.length;
      this.file.write(text, records.length);
    }
  }

  stats(): { lines: number; dropped: number } {
    const unkept = this.#servers.reduce((sum, server) => sum + server.answersDropped, 0);
    return { lines: this.#lines, dropped: this.file.dropped + unkept };
  }

  // The servers have ended, or go on without a log.
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.flush();
    for (const server of this.#servers) server.logAnswers(0);
    await this.file.close();
  }
}
