// The one look-up of the hot path: pathname -> resource. Bounded; drops what was not asked for
// since it last came round (second chance), in the order in which it came.

import type { FileResource } from './file-resource';

export class ResourceMap {
  readonly #resources = new Map<string, FileResource>();
  #isClosed = false;

  constructor(readonly entriesMax: number) {}

  get size(): number {
    return this.#resources.size;
  }

  // Whatever is there, fresh or not: for who learns of changes elsewhere.
  peek(pathname: string): FileResource | undefined {
    const resource = this.#resources.get(pathname);
    if (resource !== undefined) resource.isTouched = true;
    return resource;
  }

  // Undefined also when it is to be found out whether the file is still the one that was opened, and
  // what is beside it.
  get(pathname: string): FileResource | undefined {
    const resource = this.#resources.get(pathname);
    if (resource === undefined || resource.isDue || !resource.file.isFresh) return undefined;
    resource.isTouched = true;
    return resource;
  }

  set(pathname: string, resource: FileResource): void {
    this.delete(pathname);
    if (this.#isClosed) {
      resource.release();
      return;
    }
    if (this.#resources.size >= this.entriesMax) this.#dropOne();
    this.#resources.set(pathname, resource);
  }

  delete(pathname: string): void {
    const resource = this.#resources.get(pathname);
    if (resource === undefined) return;
    this.#resources.delete(pathname);
    resource.release();
  }

  // Gives the descriptors of half of the files back, the oldest ones.
  dropHalf(): void {
    for (const pathname of [...this.#resources.keys()].slice(0, Math.ceil(this.size / 2))) {
      this.delete(pathname);
    }
  }

  // What a search finds afterwards is not kept.
  close(): void {
    this.#isClosed = true;
    for (const pathname of [...this.#resources.keys()]) this.delete(pathname);
  }

  // Ends: whatever is passed over has lost its mark and goes in the second round at the latest.
  #dropOne(): void {
    for (const [pathname, resource] of this.#resources) {
      if (!resource.isTouched) {
        this.delete(pathname);
        return;
      }
      resource.isTouched = false;
      this.#resources.delete(pathname);
      this.#resources.set(pathname, resource);
    }
  }
}
