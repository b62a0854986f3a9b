// The access log. The servers write its lines into memory; a few times a second they are taken, all
// at once, and appended to a file, so that no request waits for a log.

import type { HttpServer } from 'io-lite/http';

import type { LogFile } from './log-file';

export const kLogFormats = ['common', 'combined', 'json'] as const;
export type LogFormat = (typeof kLogFormats)[number];

const kIntervalMs = 50;
const kWaitingBytesMax = 12 << 20;  // Of each server; what the disk cannot follow is dropped.

export class AccessLog {
  #servers: HttpServer[] = [];
  readonly #timer = setInterval(() => this.flush(), kIntervalMs);

  constructor(readonly file: LogFile, readonly format: LogFormat) {
    this.#timer.unref();
  }

  add(server: HttpServer): void {
    server.logAnswers(kWaitingBytesMax, this.format);
    this.#servers.push(server);
  }

  // While the file is busy the lines wait where they are.
  flush(): void {
    if (!this.file.isBusy) this.#take();
  }

  stats(): { lines: number; dropped: number } {
    const sum = (figure: 'answersTaken' | 'answersDropped'): number =>
      this.#servers.reduce((total, server) => total + server[figure], 0);
    return { lines: sum('answersTaken'), dropped: this.file.dropped + sum('answersDropped') };
  }

  // The servers have ended, or go on without a log.
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#take();
    for (const server of this.#servers) server.logAnswers(0);
    await this.file.close();
  }

  #take(): void {
    for (const server of this.#servers) {
      const before = server.answersTaken;
      const lines = server.takeAnswerLines();
      if (lines.length > 0) this.file.write(lines, server.answersTaken - before);
    }
  }
}
