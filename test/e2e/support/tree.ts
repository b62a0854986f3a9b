// A directory of its own for a test, with the files it names.
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

export class Tree {
  readonly root = realpathSync(mkdtempSync(path.join(tmpdir(), `flash-lite-${process.pid}-`)));

  constructor(files: Record<string, string | Buffer> = {}) {
    for (const [name, content] of Object.entries(files)) this.write(name, content);
  }

  path(name: string): string {
    return path.join(this.root, name);
  }

  write(name: string, content: string | Buffer): void {
    mkdirSync(path.dirname(this.path(name)), { recursive: true });
    writeFileSync(this.path(name), content);
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** Bytes that tell where they are: no two aligned words of it are equal, nor of another version. */
export function patterned(byteLength: number, version: number): Buffer {
  const words = new Uint32Array(Math.ceil(byteLength / 4));
  for (let index = 0; index < words.length; index++) words[index] = index * 16 + version;
  return Buffer.from(words.buffer, 0, byteLength);
}
