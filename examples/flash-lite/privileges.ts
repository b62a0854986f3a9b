// Root is given up once the sockets are bound: before anything of the window is made, because its memory
// belongs to whoever makes it.

import { chownSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

import { explain, SettingProblem } from './failures';
import type { Bound } from './places';

type PosixProcess = Required<NodeJS.Process> & {
  initgroups: (user: string, extraGroup: number) => void;
};

export interface Identity {
  user: string | undefined;
  group: string | undefined;
}

interface Account {
  user: { name: string; uid: number } | undefined;
  gid: number;
}

// Undefined when we stay who we are. Throws a SettingProblem.
export function identityOf({ user, group }: Identity): Account | undefined {
  if (user === undefined && group === undefined) return undefined;
  const account = user === undefined ? undefined : accountOf(user);
  const gid = group === undefined ? account?.gid : groupNumberOf(group);
  return { user: account, gid: gid as number };
}

// Before that, `first` is run with the rights of that user, and its failure leaves us as much of root as
// removes a pid file. Throws a SettingProblem when the system refuses, or knows no such user; then
// nothing, or only a part, was given up, and the process must end.
export async function dropPrivileges<T>(
  identity: Identity, sockets: readonly Bound[], first: () => Promise<T>,
): Promise<T> {
  const account = identityOf(identity);
  if (account === undefined) return first();
  const { user, gid } = account;
  const { setgid, setuid, seteuid, initgroups, setgroups, getuid, geteuid } = process as PosixProcess;
  const before = geteuid();
  become(identity, () => {
    for (const { place } of sockets) {
      if (place.kind === 'path') chownSync(place.path, user?.uid ?? getuid(), gid);
    }
    if (user !== undefined) initgroups(user.name, gid);
    else setgroups([gid]);
    setgid(gid);
    if (user !== undefined) seteuid(user.uid);
  });
  let result: T;
  try {
    result = await first();
  } finally {
    seteuid(before);
  }
  if (user !== undefined) become(identity, () => setuid(user.uid));
  return result;
}

function become({ user, group }: Identity, steps: () => void): void {
  try {
    steps();
  } catch (error) {
    const [setting, name] = user === undefined ? ['group', group] : ['user', user];
    throw new SettingProblem(setting, `cannot become ${name}: ${explain(error)}`);
  }
}

function accountOf(user: string): { name: string; uid: number; gid: number } {
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [name = '', , uid, gid] = line.split(':');
    if (name !== '' && (name === user || uid === user)) {
      return { name, uid: Number(uid), gid: Number(gid) };
    }
  }
  throw new SettingProblem('user', `there is no user "${user}"`);
}

function groupNumberOf(group: string): number {
  for (const line of readFileSync('/etc/group', 'utf8').split('\n')) {
    const [name, , gid] = line.split(':');
    if (name === group || gid === group) return Number(gid);
  }
  throw new SettingProblem('group', `there is no group "${group}"`);
}

// Tells others which process this is; gives what takes it back. Throws a SettingProblem.
export function writePidFile(file: string): () => void {
  try {
    writeFileSync(file, `${process.pid}\n`);
  } catch (error) {
    throw new SettingProblem('pid-file', `cannot write ${file}: ${explain(error)}`);
  }
  return () => {
    try {
      if (readFileSync(file, 'utf8').trim() === String(process.pid)) rmSync(file);
    } catch {
      // Somebody else has taken it away, or it is root's.
    }
  };
}
