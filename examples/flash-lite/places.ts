// Where to listen: addresses, Unix sockets, and sockets that whoever started us has opened.

import { rmSync, statSync } from 'node:fs';

import { bindListener } from 'io-lite/http';

import type { Place } from './place';

// A listening socket, and what was asked for.
export interface Bound {
  fd: number;
  place: Place;
}

export interface BindOptions {
  backlog: number;
  socketMode: number | undefined;
  unsentBytesMax: number;
}

export async function bindPlace(place: Place, options: BindOptions): Promise<Bound> {
  const { backlog, socketMode, unsentBytesMax } = options;
  switch (place.kind) {
    case 'inherited': return { fd: place.fd, place };
    case 'address': {
      const { host, port } = place;
      return { fd: await bindListener({ host, port, backlog, unsentBytesMax }), place };
    }
    case 'path': {
      const { path } = place;
      const mode = socketMode === undefined ? {} : { pathMode: socketMode };
      return { fd: await bindListener({ path, backlog, ...mode }), place };
    }
  }
}

// What to do when a socket of the file system is used no more: its file goes, if it is still that one.
export function remover({ place }: Bound): () => void {
  if (place.kind !== 'path') return () => undefined;
  const inodeOf = (): number | undefined =>
    statSync(place.path, { throwIfNoEntry: false })?.ino;
  const made = inodeOf();
  return () => {
    try {
      if (inodeOf() === made) rmSync(place.path, { force: true });
    } catch {
      // It stays; the next server takes it over.
    }
  };
}

const kFirstInherited = 3;

// Sockets that systemd, or whoever speaks as it does, has opened for this very process
// (sd_listen_fds(3)). Children must not think that they are theirs. Those named https or http speak that.
export function takeInherited(environment: NodeJS.ProcessEnv, isSecureByDefault: boolean): Place[] {
  const { LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES } = environment;
  for (const name of ['LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES']) Reflect.deleteProperty(environment, name);
  if (Number(LISTEN_PID) !== process.pid || !/^\d{1,4}$/.test(LISTEN_FDS ?? '')) return [];
  const names = (LISTEN_FDNAMES ?? '').split(':');
  return Array.from({ length: Number(LISTEN_FDS) }, (_, i) => {
    const isSecure = names[i] === 'https' || (isSecureByDefault && names[i] !== 'http');
    return { kind: 'inherited', fd: kFirstInherited + i, isSecure };
  });
}
