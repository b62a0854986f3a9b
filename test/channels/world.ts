// Processes that do what they are told: each runs pieces of JavaScript, with `$` to keep things in.
import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';

const root = path.join(__dirname, '..', '..');

const program = `
  const io = require('io-lite');
  const $ = { turn: () => new Promise((resolve) => setImmediate(resolve)) };
  // Released at the end of the piece that made it.
  let owned = [];
  $.own = (resource) => (owned.push(resource), resource);
  // Until it is true, and never for a time that somebody guessed.
  $.until = async (isTrue) => { while (!(await isTrue())) await $.turn(); };
  const AsyncFunction = (async () => {}).constructor;
  process.on('message', async ({ id, code }) => {
    try {
      const value = await new AsyncFunction('io', '$', 'require', code)(io, $, require);
      for (const resource of owned.splice(0)) resource?.dispose();
      process.send({ id, value });
    } catch (error) {
      process.send({ id, failure: { code: error.code, message: error.message, stack: error.stack } });
    }
  });
  process.on('disconnect', () => process.exit());
`;

interface Answer {
  id: number;
  value?: unknown;
  failure?: { code?: string; message: string; stack: string };
}

/** What a process failed with, as an error here. */
export class PeerError extends Error {
  constructor(readonly code: string | undefined, message: string, stack: string) {
    super(message);
    this.stack = stack;
  }
}

export interface PeerOptions {
  env?: NodeJS.ProcessEnv;
  nodeOptions?: string[];
  /** Of the process; the group has the same number unless `gid` says otherwise. */
  uid?: number;
  gid?: number;
}

export class Peer {
  readonly child: ChildProcess;
  readonly ended: Promise<string>;
  stderr = '';
  readonly #answers = new Map<number, (answer: Answer) => void>();
  #lastId = 0;

  constructor({ env = {}, nodeOptions = [], uid, gid = uid }: PeerOptions = {}) {
    this.child = spawn(process.execPath, [...nodeOptions, '-e', program], {
      cwd: root,
      env: { ...process.env, NODE_OPTIONS: '', IOL_WINDOW: '', ...env },
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
      ...(uid === undefined ? {} : { uid, gid: gid! }),
    });
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.child.on('message', (answer: Answer) => this.#answers.get(answer.id)?.(answer));
    this.ended = new Promise((resolve) => {
      this.child.on('exit', (code, signal) => {
        const how = signal ?? String(code);
        const failure = { message: `ended (${how}): ${this.stderr}`, stack: '' };
        for (const [id, answer] of this.#answers) answer({ id, failure });
        resolve(how);
      });
    });
  }

  /** The value of an async function body, in which `io` is the library. */
  run<T = unknown>(code: string): Promise<T> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#answers.set(id, ({ value, failure }) => {
        this.#answers.delete(id);
        if (failure === undefined) resolve(value as T);
        else reject(new PeerError(failure.code, failure.message, failure.stack));
      });
      this.child.send({ id, code });
    });
  }

  /** The same for what it cannot be without: it is killed when that fails. */
  async prepare<T = unknown>(code: string): Promise<T> {
    try {
      return await this.run<T>(code);
    } catch (error) {
      await this.kill();
      throw error;
    }
  }

  /** Kills it as nothing else can, and waits for its end. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  /** Lets it end; what it ended with. */
  async end(): Promise<string> {
    if (this.child.connected) this.child.disconnect();
    return this.ended;
  }
}

/** A host called "host" that keeps each channel opened to it in `$.channels[its name]`. */
export async function startHost(options = '{}'): Promise<{ host: Peer; address: string }> {
  const host = new Peer();
  const address = await host.prepare<string>(`
    $.window = await io.Window.create({ label: 'host', ...${options} });
    $.channels = {};
    $.window.on('channel', (channel) => ($.channels[channel.name] = channel));
    $.opened = async (name) => {
      await $.until(() => $.channels[name]);
      return ($.channel = $.channels[name]);
    };
    return $.window.address;
  `);
  return { host, address };
}

/** Who has attached to it, under that label. */
export async function startGuest(address: string, label = 'guest', options: PeerOptions = {}): Promise<Peer> {
  const guest = new Peer({ ...options, env: { IOL_WINDOW: address } });
  await guest.prepare(`
    $.window = await io.Window.attach({ label: '${label}' });
    $.channels = {};
    $.window.on('channel', (channel) => ($.channels[channel.name] = channel));
    $.opened = async (name) => {
      await $.until(() => $.channels[name]);
      return ($.channel = $.channels[name]);
    };
  `);
  return guest;
}

/** A channel of that name from `from` to `to`, which is called `label`: `$.channel` on both sides. */
export async function connect(from: Peer, to: Peer, label: string, name: string): Promise<void> {
  await from.run(`$.channel = await $.window.connect('${label}', { name: '${name}' });`);
  await to.run(`await $.opened('${name}');`);
}

/** Holds, aggregates and drafts that a process still has. */
export function left(peer: Peer): Promise<[number, number, number]> {
  return peer.run(`
    await $.turn();
    const { liveHolds, aggregates, drafts } = io.stats();
    return [liveHolds, aggregates, drafts];
  `);
}

export const nothing = [0, 0, 0];
