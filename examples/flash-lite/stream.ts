// A body that is sent part by part, so that nobody holds all of a large file in memory.

import { setTimeout as delay } from 'node:timers/promises';

import type { Aggregate, CachedFile } from 'io-lite';
import type { HttpRequest } from 'io-lite/http';

import { isShortOfMemory, messageOf } from './failures';
import type { Selection } from './file-resource';
import { log } from './log';

// How long a part waits for memory: others may finish meanwhile.
const kMemoryWaitMs = 100;
const kMemoryWaitsMax = 200;

// Sends the selection in parts as long as the first, which the caller has read and releases. The
// length is promised with the head: what cannot be kept from then on cuts the connection. Parts
// come from one version of the file or not at all.
export async function streamFile(
  request: HttpRequest, file: CachedFile, selection: Selection, first: Aggregate,
): Promise<void> {
  const partBytes = first.byteLength;
  const end = selection.offset + selection.length;
  request.start(selection.head, selection.length);
  try {
    await request.write(first);
    for (let offset = selection.offset + partBytes; offset < end; offset += partBytes) {
      const part = await readPart(request, file, offset, Math.min(partBytes, end - offset));
      try {
        await request.write(part);
      } finally {
        part.dispose();
      }
    }
    request.end();
  } catch (error) {
    if (request.isOpen) log(`${file.path} was cut: ${messageOf(error)}`);
    request.abort();
  }
}

async function readPart(
  request: HttpRequest, file: CachedFile, offset: number, length: number,
): Promise<Aggregate> {
  for (let waits = 0; ; waits++) {
    try {
      return file.tryRead(offset, length) ?? await file.read(offset, length);
    } catch (error) {
      if (!isShortOfMemory(error) || waits === kMemoryWaitsMax || !request.isOpen) throw error;
    }
    await delay(kMemoryWaitMs);
  }
}
