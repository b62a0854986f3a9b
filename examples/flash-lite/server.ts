// The server around the decisions: sockets, logs, and settings that change while requests go on. Each
// request ends with the settings that it began with.

import { setTimeout as delay } from 'node:timers/promises';

import { stats, version, Window } from 'io-lite';
import {
  HttpServer, type HttpRequest, type HttpServerLimits, type HttpServerStats,
} from 'io-lite/http';

import { AccessLog } from './access-log';
import type { Credentials } from './certificate';
import { FlashLite, Ground, type FlashLiteOptions } from './flash-lite';
import { logIncident } from './incidents';
import { loggedTo, logTo } from './log';
import { openLogs, type LogFile, type Logs } from './log-file';
import type { Place } from './place';
import { remover, type Bound } from './places';
import { kProperties, settingOf, type Options } from './settings';
import type { ServerFacts } from './status';

const kRetireMs = 50;

export class Server {
  readonly #ground: Ground;
  readonly #listeners: HttpServer[] = [];
  readonly #removers: (() => void)[] = [];
  readonly #retiring = new Set<Promise<void>>();
  #options: FlashLiteOptions;
  #decider: FlashLite;
  #accessLog: AccessLog | undefined;
  #reloads = 0;

  // Takes the sockets over, and the logs. Sockets that speak HTTPS need credentials.
  static async listen(
    options: FlashLiteOptions, sockets: readonly Bound[], credentials: Credentials | undefined, logs: Logs,
  ): Promise<Server> {
    if (options.apps.length > 0) await Window.create({ label: 'flash-lite' });
    const server = new Server(options);
    try {
      for (const socket of sockets) {
        server.#removers.push(remover(socket));
        const { copiesBeforeReference } = options;
        const tls = socket.place.isSecure && credentials !== undefined ? { tls: credentials } : {};
        server.#listeners.push(await HttpServer.listen(
          { fd: socket.fd, copiesBeforeReference, onIncident: logIncident, ...tls, ...limitsOf(options) },
          server.#answererAt(socket.place)));
      }
      await server.#logErrorsTo(logs.errors);
      server.#logAnswersTo(logs.access, options);
      await server.#giveOwnAnswers(server.#decider);
    } catch (error) {
      await server.close(0);
      throw error;
    }
    return server;
  }

  private constructor(options: FlashLiteOptions) {
    this.#options = options;
    this.#ground = new Ground(options, () => this.#facts(), () => this.#forgetAnswers());
    this.#decider = new FlashLite(options, this.#ground);
  }

  get listeners(): readonly HttpServer[] {
    return this.#listeners;
  }

  get finishTimeoutMs(): number {
    return this.#options.finishTimeoutMs;
  }

  // Who comes by a Unix socket is on this machine: a proxy, say, that speaks HTTPS itself.
  #answererAt({ isSecure, kind }: Place): (request: HttpRequest) => void {
    const isRedirected = this.#options.redirectsToHttps && !isSecure && kind !== 'path';
    if (!isRedirected) return (request) => this.#decider.answer(request);
    return (request) => this.#decider.redirect(request, this.#securePort());
  }

  #securePort(): number {
    const ours = this.#listeners.find(({ isSecure, path }) => isSecure && path === undefined);
    return this.#options.httpsPort ?? ours?.port ?? 443;
  }

  // New settings for the requests that come from now on; rejects, and changes nothing, when they cannot
  // be. Gives the names of settings that only a new start changes.
  async reload(wanted: FlashLiteOptions, credentials: Credentials | undefined): Promise<string[]> {
    const { options, ignored } = withFixed(wanted, this.#options);
    if (options.apps.length > 0 && this.#options.apps.length === 0) {
      throw new Error('app needs a new start, since there was none before');
    }
    const decider = new FlashLite(options, this.#ground);
    try {
      await this.#openLogs(options);
    } catch (error) {
      await decider.close();
      throw error;
    }
    const secure = this.#listeners.filter(({ isSecure }) => isSecure);
    if ((secure.length > 0) !== (credentials !== undefined)) ignored.push('tls-cert');
    for (const listener of secure) if (credentials !== undefined) listener.setSecureContext(credentials);
    for (const listener of this.#listeners) listener.configure(limitsOf(options));
    await this.#giveOwnAnswers(decider);
    const before = this.#decider;
    this.#decider = decider;
    this.#forgetAnswers();
    this.#options = options;
    this.#reloads++;
    const retiring = this.#retire(before).finally(() => this.#retiring.delete(retiring));
    this.#retiring.add(retiring);
    return ignored;
  }

  // After a rotation.
  reopenLogs(): void {
    this.#accessLog?.file.reopen();
    loggedTo()?.reopen();
  }

  // Accepts nothing more and finishes what is being sent; what is not done by then is cut.
  async close(timeoutMs: number): Promise<void> {
    const timer = setTimeout(() => this.cut(), timeoutMs);
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    clearTimeout(timer);
    for (const remove of this.#removers) remove();
    await Promise.all([...this.#retiring, this.#decider.close()]);
    this.#ground.close();
    await this.#accessLog?.close();
    await this.#logErrorsTo(undefined);
  }

  // All connections, whatever is being sent.
  cut(): void {
    for (const listener of this.#listeners) listener.destroy();
  }

  // Pages of the operator's for what the connections answer by themselves. They are read now, and not
  // when a client is refused.
  async #giveOwnAnswers(decider: FlashLite): Promise<void> {
    for (const { status, head, body } of await decider.ownAnswers()) {
      for (const listener of this.#listeners) listener.setErrorAnswer(status, head, body);
      head.dispose();
      body.dispose();
    }
  }

  #forgetAnswers(): void {
    for (const listener of this.#listeners) listener.forgetAnswers();
  }

  // Puts away what answered before, once nobody waits for its answers.
  async #retire(before: FlashLite): Promise<void> {
    let open: HttpRequest[] = this.#listeners.flatMap((listener) => listener.openRequests());
    while (open.length > 0) {
      await delay(kRetireMs);
      open = open.filter((request) => request.isOpen);
    }
    await before.close();
  }

  async #openLogs(options: FlashLiteOptions): Promise<void> {
    const { accessLog, logFormat, errorLog } = options;
    const current = this.#accessLog;
    const isSame = current?.file.path === accessLog && (!current || current.format === logFormat);
    const isSameForErrors = loggedTo()?.path === errorLog;
    const { access, errors } = await openLogs({
      accessLog: isSame ? undefined : accessLog, errorLog: isSameForErrors ? undefined : errorLog,
    });
    if (!isSameForErrors) await this.#logErrorsTo(errors);
    if (isSame) {
      this.reopenLogs();
      return;
    }
    await current?.close();
    this.#logAnswersTo(access, options);
  }

  #logAnswersTo(file: LogFile | undefined, { logFormat }: Options): void {
    this.#accessLog = file && new AccessLog(file, logFormat);
    for (const listener of this.#listeners) this.#accessLog?.add(listener);
  }

  async #logErrorsTo(next: LogFile | undefined): Promise<void> {
    const before = loggedTo();
    logTo(next);
    await before?.close();
  }

  #facts(): ServerFacts {
    const { copies, ...memory } = stats();
    const http = sumOf(this.#listeners.map((listener) => listener.stats())) as unknown as
      HttpServerStats;
    const { user, system } = process.cpuUsage();
    return {
      version,
      pid: process.pid,
      uptimeSeconds: Math.floor(process.uptime()),
      cpuSeconds: (user + system) / 1e6,
      residentBytes: process.memoryUsage.rss(),
      reloads: this.#reloads,
      retiring: this.#retiring.size,
      connections: http.connectionsOpen,
      requests: http.requests,
      http,
      accessLog: this.#accessLog?.stats() ?? null,
      copies,
      memory,
    };
  }
}

function sumOf(figures: readonly object[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const each of figures) {
    for (const [name, value] of Object.entries(each)) sums[name] = (sums[name] ?? 0) + (value as number);
  }
  return sums;
}

// The wanted settings, but for those that only a new start changes.
function withFixed(
  wanted: FlashLiteOptions, current: FlashLiteOptions,
): { options: FlashLiteOptions; ignored: string[] } {
  const options: Record<string, unknown> = { ...wanted };
  const ignored: string[] = [];
  for (const property of kProperties) {
    const { name, isFixed } = settingOf(property);
    if (!isFixed || JSON.stringify(wanted[property]) === JSON.stringify(current[property])) continue;
    options[property] = current[property];
    ignored.push(name);
  }
  return { options: options as FlashLiteOptions, ignored };
}

function limitsOf(options: Options): HttpServerLimits {
  const {
    headBytesMax, targetBytesMax, headerFieldsMax, headTimeoutMs, idleTimeoutMs, sendTimeoutMs,
    connectionsMax, pipelineMax, bodyBytesMax, bodyTimeoutMs, answerTimeoutMs, queuedBytesMax,
    bodyBytesPerSecondMin,
  } = options;
  return {
    headBytesMax, targetBytesMax, headerFieldsMax, headTimeoutMs, idleTimeoutMs, sendTimeoutMs,
    connectionsMax, pipelineMax, bodyBytesMax, bodyTimeoutMs, answerTimeoutMs, queuedBytesMax,
    bodyBytesPerSecondMin,
  };
}
