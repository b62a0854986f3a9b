// Root is given up once the sockets are bound: before anything of the window is made, because its memory
// belongs to whoever makes it.

import { chownSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

import type { Bound } from './places';

type PosixProcess = Required<NodeJS.Process> & {
  initgroups: (user: string, extraGroup: number) => void;
};

export interface Identity {
  user: string | undefined;
  group: string | undefined;
}

// Throws when the system refuses, or knows no such user; then nothing, or only a part, was given up, and
// the process must end.
export function dropPrivileges({ user, group }: Identity, sockets: readonly Bound[]): void {
  if (user === undefined && group === undefined) return;
  const { setgid, setuid, initgroups, setgroups, getuid, getgid } = process as PosixProcess;
  const account = user === undefined ? undefined : accountOf(user);
  const groupId = group ?? account?.gid;
  const owner = account?.uid ?? getuid();
  const groupNumber = groupId === undefined ? getgid() : groupNumberOf(groupId);
  for (const { place } of sockets) {
    if (place.kind === 'path') chownSync(place.path, owner, groupNumber);
  }
  if (account !== undefined) initgroups(account.name, groupNumber);
  else setgroups([groupNumber]);
  setgid(groupNumber);
  if (account !== undefined) setuid(account.uid);
}

function accountOf(user: string): { name: string; uid: number; gid: number } {
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [name = '', , uid, gid] = line.split(':');
    if (name !== '' && (name === user || uid === user)) {
      return { name, uid: Number(uid), gid: Number(gid) };
    }
  }
  throw new Error(`there is no user "${user}"`);
}

function groupNumberOf(group: string | number): number {
  if (typeof group === 'number') return group;
  for (const line of readFileSync('/etc/group', 'utf8').split('\n')) {
    const [name, , gid] = line.split(':');
    if (name === group || gid === group) return Number(gid);
  }
  throw new Error(`there is no group "${group}"`);
}

// Tells others which process this is; gives what takes it back.
export function writePidFile(file: string): () => void {
  writeFileSync(file, `${process.pid}\n`);
  return () => {
    try {
      if (readFileSync(file, 'utf8').trim() === String(process.pid)) rmSync(file);
    } catch {
      // Somebody else has taken it away, or it is root's.
    }
  };
}
