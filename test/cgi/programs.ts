// Programs for the tests of CGI, in a folder of their own.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

export class ProgramFolder {
  readonly root = mkdtempSync(path.join(tmpdir(), `io-lite-cgi-${process.pid}-`));

  /** A program of this text; its path. */
  write(name: string, text: string): string {
    const file = path.join(this.root, name);
    writeFileSync(file, text);
    chmodSync(file, 0o755);
    return file;
  }

  shell(name: string, body: string): string {
    return this.write(name, `#!/bin/sh\n${body}\n`);
  }

  /** From C, when there is a compiler. */
  c(name: string, text: string): string | undefined {
    const source = path.join(this.root, `${name}.c`);
    writeFileSync(source, text);
    const file = path.join(this.root, name);
    return spawnSync('cc', ['-O1', '-o', file, source]).status === 0 ? file : undefined;
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

export function hasCommand(name: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${name}`], { stdio: 'ignore' }).status === 0;
}

/** Whether a process is there and no zombie. */
export function isRunning(pid: number): boolean {
  if (!existsSync(`/proc/${pid}/stat`)) return false;
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

/** Pipes and sockets of this process; memory has descriptors, too, and comes as it is needed. */
export function openPipes(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return /^(pipe|socket):/.test(readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      return false;  // That of the folder itself.
    }
  }).length;
}
