// Readers and writers of files that change all the time, in one process, under a cache that is too
// small: every read must be what the file was at one moment between its call and its answer.
//
//   npm run torture:files -- [--seconds N] [--seed S] [--files N] [--bytes OF-EACH] [--window BYTES]
//
// Each file has one writer, so that its states are known, and several readers. A state is a whole
// content with the ticks between which it may have been the file's; a read that matches none of
// those that it overlaps is a failure. All of it is one line of progress a second, and ends with
// holds and drafts as before.
import assert from 'node:assert/strict';
import {
  closeSync, ftruncateSync, mkdtempSync, openSync, renameSync, rmSync, writeFileSync, writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import {
  Aggregate, FileCache, iolRead, iolReadSync, iolWrite, iolWriteSync, isIolError, stats, Window,
} from 'io-lite';

import { numbersFrom, randomFrom } from './kit';

export interface TortureOptions {
  seconds: number;
  seed: number;
  files: number;
  /** Of one file. */
  bytesMax: number;
  onProgress?: (line: string) => void;
}

interface State {
  content: Buffer;
  /** It cannot have been the file's before `from`, nor after `to`. */
  from: number;
  to: number;
}

/** Cells of 8 bytes: which write made them, and where in the file they belong. */
function patternOf(write: number, offset: number, length: number): Buffer {
  const first = Math.floor(offset / 8);
  const cells = new Uint32Array(2 * (Math.ceil((offset + length) / 8) - first));
  for (let i = 0; i < cells.length; i += 2) {
    cells[i] = write;
    cells[i + 1] = first + i / 2;
  }
  return Buffer.from(cells.buffer).subarray(offset % 8).subarray(0, length);
}

/** The cell that has a byte, for people. */
function cellAt(bytes: Buffer, offset: number, place: number): string {
  const start = place - ((offset + place) % 8);
  if (start < 0 || start + 8 > bytes.length) return 'a cut cell';
  return `write ${bytes.readUInt32LE(start)} cell ${bytes.readUInt32LE(start + 4)}`;
}

function toBuffer(bytes: Aggregate | null): Buffer | null {
  if (bytes === null) return null;
  const copy = bytes.toBuffer();
  bytes.dispose();
  return Buffer.from(copy);
}

class TorturedFile {
  states: State[];
  /** Reads on their way, by the tick of their call. */
  readonly reads = new Set<{ since: number }>();
  readonly fd: number;
  readonly appendFd: number;
  quiet: Promise<void> | undefined;
  isClosed = false;

  constructor(
    readonly name: string,
    private readonly world: Torture,
  ) {
    const content = patternOf(world.nextWrite(), 0, 1 + world.random(world.options.bytesMax));
    writeFileSync(name, content);
    this.fd = openSync(name, 'r+');
    this.appendFd = openSync(name, 'a');
    this.states = [{ content, from: 0, to: Infinity }];
  }

  get content(): Buffer {
    return this.states.at(-1)!.content;
  }

  /** Makes `content` the file's by `change`, at some moment before it ends. */
  async become(content: Buffer, change: () => unknown): Promise<void> {
    const before = this.states.at(-1)!;
    this.states.push({ content, from: this.world.tick(), to: Infinity });
    await change();
    before.to = this.world.tick();
    const oldest = Math.min(...[...this.reads].map(({ since }) => since), before.to);
    this.states = this.states.filter(({ to }) => to >= oldest);
  }

  /** What others write is no one moment to the kernel: nobody may be reading. */
  async whenQuiet(change: () => Promise<void> | void): Promise<void> {
    let end = (): void => {};
    this.quiet = new Promise((resolve) => (end = resolve));
    while (this.reads.size > 0) await new Promise(setImmediate);
    await change();
    this.quiet = undefined;
    end();
  }

  /** Runs `read`, and checks what it answers for the bytes from `position` on. */
  async check(
    what: string,
    position: number,
    size: number,
    read: () => Promise<Aggregate | null> | Aggregate | null,
  ): Promise<number | undefined> {
    while (this.quiet !== undefined) await this.quiet;
    if (this.isClosed) return 0;
    const entry = { since: this.world.tick() };
    this.reads.add(entry);
    let bytes: Buffer | null;
    try {
      bytes = toBuffer(await read());
    } catch (error) {
      if (isIolError(error) && ['ERR_IOL_ABORTED', 'ERR_IOL_FILE_CHANGED'].includes(error.code)) {
        this.world.count(error.code);
        return undefined;
      }
      throw error;
    } finally {
      this.reads.delete(entry);
    }
    const now = this.world.tick();
    const states = this.states.filter(({ from, to }) => from <= now && to >= entry.since);
    const fits = states.some(({ content }) => {
      if (bytes === null) return content.length <= position;
      const wanted = content.subarray(position, position + size);
      return bytes.length > 0 && wanted.subarray(0, bytes.length).equals(bytes);
    });
    if (!fits) this.fail(what, position, size, bytes, states);
    this.world.count('reads');
    this.world.bytes += bytes?.length ?? 0;
    return bytes?.length ?? 0;
  }

  private fail(what: string, at: number, size: number, bytes: Buffer | null, states: State[]): never {
    const lines = states.map(({ content }, i) => {
      if (bytes === null) return `state ${i}: ${content.length} bytes`;
      const wanted = content.subarray(at, at + size);
      const differs = bytes.findIndex((byte, place) => byte !== wanted[place]);
      return `state ${i} of ${content.length} bytes: differs at ${at + differs}: ` +
        `${cellAt(bytes, at, differs)}, wanted ${cellAt(wanted, at, differs)}`;
    });
    throw new Error(
      `${what} of ${path.basename(this.name)}: [${at}, +${size}) gave ${bytes?.length ?? 'null'} bytes ` +
        `that it never had at one moment (seed ${this.world.options.seed})\n${lines.join('\n')}`,
    );
  }

  close(): void {
    this.isClosed = true;
    closeSync(this.fd);
    closeSync(this.appendFd);
  }
}

class Torture {
  readonly folder = mkdtempSync(path.join(tmpdir(), 'iol-torture-'));
  readonly random: (below: number) => number;
  readonly counts = new Map<string, number>();
  bytes = 0;
  isOver = false;
  readonly #pool = Window.default().createPool({ name: 'torture' });
  #ticks = 0;
  #writes = 0;

  constructor(readonly options: TortureOptions) {
    this.random = randomFrom(options.seed);
  }

  tick(): number {
    return ++this.#ticks;
  }

  nextWrite(): number {
    return ++this.#writes;
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  async run(): Promise<string> {
    const slots = Array.from({ length: this.options.files }, (_, i) =>
      ({ file: new TorturedFile(path.join(this.folder, `file-${i}`), this) }));
    const all: Promise<void>[] = [];
    for (const slot of slots) {
      all.push(this.#write(slot), this.#read(slot), this.#read(slot), this.#readOn(slot), this.#readByPath(slot));
    }
    const work = Promise.all(all);
    work.catch(() => (this.isOver = true));
    const end = Date.now() + this.options.seconds * 1000;
    while (Date.now() < end && !this.isOver) {
      await new Promise((resolve) => setTimeout(resolve, Math.min(1000, end - Date.now())));
      this.options.onProgress?.(this.summary());
    }
    this.isOver = true;
    await work;
    for (const { file } of slots) file.close();
    this.#pool.dispose();
    return this.summary();
  }

  summary(): string {
    const { entries, evictions, hits, misses } = FileCache.default().stats();
    const counts = [...this.counts].map(([what, count]) => `${count} ${what}`).join(', ');
    return `seed ${this.options.seed}: ${counts}, ${(this.bytes / 2 ** 30).toFixed(2)} GiB, ` +
      `${entries} entries, ${hits} hits, ${misses} misses, ${evictions} evictions`;
  }

  async #write(slot: { file: TorturedFile }): Promise<void> {
    while (!this.isOver) {
      const { file } = slot;
      const { random } = this;
      const { bytesMax } = this.options;
      const write = this.nextWrite();
      const { content } = file;
      const kind = ['whole', 'range', 'range', 'range', 'append', 'truncate', 'plain', 'rename'][random(8)]!;
      this.count(kind);
      if (kind === 'whole' || kind === 'range') {
        const at = kind === 'whole' ? 0 : random(content.length + 5000);
        const length = kind === 'whole' ? Math.max(content.length, 1) : 1 + random(random(2) === 0 ? 300 : 100_000);
        const bytes = patternOf(write, at, Math.max(1, Math.min(length, bytesMax - at)));
        const next = Buffer.alloc(Math.max(content.length, at + bytes.length));
        next.set(content);
        next.set(bytes, at);
        using held = this.#pieces(bytes);
        const isSync = random(4) === 0;
        await file.become(next, () => (isSync ? iolWriteSync : iolWrite)(file.fd, held, { position: at }));
      } else if (kind === 'append' && content.length < bytesMax) {
        const bytes = patternOf(write, content.length, 1 + random(20_000));
        using held = this.#pieces(bytes);
        await file.become(Buffer.concat([content, bytes]), () => iolWrite(file.appendFd, held));
      } else if (kind === 'truncate') {
        const length = random(content.length + 1);
        await file.become(Buffer.from(content.subarray(0, length)), () => ftruncateSync(file.fd, length));
      } else if (kind === 'plain') {
        const at = random(content.length + 1);
        const bytes = patternOf(write, at, 1 + random(5000));
        const next = Buffer.alloc(Math.max(content.length, at + bytes.length));
        next.set(content);
        next.set(bytes, at);
        await file.whenQuiet(() => file.become(next, () => writeSync(file.fd, bytes, 0, bytes.length, at)));
      } else if (kind === 'rename') {
        const name = `${file.name}-new`;
        const other = new TorturedFile(name, this);
        await file.whenQuiet(() => {
          renameSync(name, file.name);
          slot.file = Object.assign(other, { name: file.name });
          file.close();
        });
      }
      if (random(3) === 0) await new Promise(setImmediate);
      if (random(500) === 0) FileCache.default().close();
    }
  }

  /** One aggregate of the bytes, in a few pieces. */
  #pieces(bytes: Buffer): Aggregate {
    const pieces = Aggregate.empty();
    for (let at = 0; at < bytes.length;) {
      const length = 1 + this.random(bytes.length);
      using piece = Aggregate.from(bytes.subarray(at, at + length));
      pieces.append(piece);
      at += length;
    }
    return pieces;
  }

  /** Anywhere, in every way. */
  async #read(slot: { file: TorturedFile }): Promise<void> {
    const { bytesMax } = this.options;
    const pool = this.#pool;
    while (!this.isOver) {
      const { file } = slot;
      const position = this.random(file.content.length + 1000);
      const size = 1 + this.random(this.random(2) === 0 ? 2000 : bytesMax);
      const where = this.random(2) === 0 ? { position: 0 } : { position };
      const options = this.random(5) === 0 ? { ...where, pool } : where;
      if (this.random(4) === 0) {
        await file.check('iolReadSync', where.position, size, () => iolReadSync(file.fd, size, options));
      } else {
        const signal = this.random(10) === 0 ? AbortSignal.timeout(this.random(3)) : undefined;
        await file.check('iolRead', where.position, size, () => iolRead(file.fd, size, { ...options, signal }));
      }
      if (this.random(3) === 0) await new Promise(setImmediate);
    }
  }

  /** On and on at an own position: no byte is lost, none comes twice. */
  async #readOn(slot: { file: TorturedFile }): Promise<void> {
    while (!this.isOver) {
      const { file } = slot;
      while (file.quiet !== undefined) await file.quiet;
      if (slot.file !== file) continue;
      const fd = openSync(file.name, 'r');
      for (let position = 0; !this.isOver;) {
        const size = 1 + this.random(60_000);
        const signal = this.random(4) === 0 ? AbortSignal.timeout(this.random(2)) : undefined;
        if (slot.file !== file) break;
        const read = (): Promise<Aggregate | null> => iolRead(fd, size, { signal });
        const count = await file.check('iolRead on', position, size, read);
        if (count === 0) break;
        position += count ?? 0;
      }
      closeSync(fd);
      await new Promise(setImmediate);
    }
  }

  /** By name through the cache: one version of the file, or that it changed. */
  async #readByPath(slot: { file: TorturedFile }): Promise<void> {
    while (!this.isOver) {
      const { file } = slot;
      const size = 1 + this.random(this.options.bytesMax);
      const position = this.random(file.content.length + 1);
      try {
        await file.check('CachedFile.read', position, size, async () => {
          if (slot.file !== file) throw new Skip();
          using cached = await FileCache.default().open(file.name);
          if (position >= cached.byteLength) return null;
          return await cached.read(position, size);
        });
      } catch (error) {
        // The cache is closed now and then.
        if (!(error instanceof Skip) && !(isIolError(error) && error.code === 'ERR_IOL_CLOSED')) throw error;
      }
      await new Promise(setImmediate);
    }
  }
}

class Skip extends Error {}

/** Throws at the first wrong byte; resolves to what was done. */
export async function tortureFiles(options: TortureOptions): Promise<string> {
  FileCache.default().close();
  const { liveHolds, drafts } = stats();
  const torture = new Torture(options);
  try {
    const summary = await torture.run();
    FileCache.default().close();
    const after = stats();
    assert.deepEqual([after.liveHolds, after.drafts], [liveHolds, drafts], 'holds and drafts are as before');
    return summary;
  } finally {
    FileCache.default().close();
    rmSync(torture.folder, { recursive: true });
  }
}

async function main(): Promise<void> {
  const { bytes, window, ...numbers } = numbersFrom({
    seconds: 60, files: 50, bytes: 2_000_000, window: 160 * 2 ** 20,
  });
  await Window.create({ maxBytes: window });
  console.log(`seed ${numbers.seed}`);
  console.log(await tortureFiles({ ...numbers, bytesMax: bytes, onProgress: console.log }));
}

if (require.main === module) {
  main().catch((error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  });
}
