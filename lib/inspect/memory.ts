/**
 * The shared memory of this machine as an observer finds it: memfds in `/proc/PID/fd`, read with
 * pread(2) (a hole that is read stays a hole; one that is mapped and read would take memory).
 */
import {
  closeSync, constants, fstatSync, openSync, readdirSync, readlinkSync, readSync, statSync,
} from 'node:fs';

/** A piece of memory, and where it can be opened. */
export interface Memory {
  /** As its maker named it: `segment`, `holds`, `facts` … */
  readonly kind: string;
  readonly inode: number;
  readonly byteLength: number;
  /** Pages that it takes. */
  readonly allocatedBytes: number;
  readonly places: { readonly pid: number; readonly path: string }[];
}

/** What lies beyond the end is zeros. */
export type ReadAt = (offset: number, byteLength: number) => Buffer;

const memfdLink = /^\/memfd:(?:io-lite|iol)-([\w-]+) \(deleted\)$/;

/** Every process of which this one may read the descriptors. */
export function processIds(): number[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number);
}

// What goes while one looks is not there, and what may not be seen neither.
function orNothing<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM', 'ENXIO'].includes(code ?? '')) return undefined;
    throw error;
  }
}

/** All memory of all windows, each piece once, whoever has it open. */
export function findMemories(pids = processIds()): Memory[] {
  const found = new Map<number, Memory>();
  for (const pid of pids) {
    for (const name of orNothing(() => readdirSync(`/proc/${pid}/fd`)) ?? []) {
      const path = `/proc/${pid}/fd/${name}`;
      const kind = memfdLink.exec(orNothing(() => readlinkSync(path)) ?? '')?.[1];
      if (kind === undefined) continue;
      const facts = orNothing(() => statSync(path));
      if (facts === undefined) continue;
      const known = found.get(facts.ino);
      if (known !== undefined) {
        known.places.push({ pid, path });
        continue;
      }
      found.set(facts.ino, {
        kind,
        inode: facts.ino,
        byteLength: facts.size,
        allocatedBytes: facts.blocks * 512,
        places: [{ pid, path }],
      });
    }
  }
  return [...found.values()];
}

// By now the number may be another file's of that process: a pipe, say, whose opening would wait.
const readOnly = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/** What `use` makes of the memory; undefined when it is gone meanwhile. */
export function withMemory<T>(memory: Memory, use: (readAt: ReadAt) => T): T | undefined {
  for (const { path } of memory.places) {
    const descriptor = orNothing(() => openSync(path, readOnly));
    if (descriptor === undefined) continue;
    try {
      if (fstatSync(descriptor).ino !== memory.inode) continue;
      return use((offset, byteLength) => {
        const bytes = Buffer.alloc(byteLength);
        readSync(descriptor, bytes, 0, byteLength, offset);
        return bytes;
      });
    } finally {
      closeSync(descriptor);
    }
  }
  return undefined;
}
