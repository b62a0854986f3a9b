// A body that is sent part by part, so that nobody holds all of a large file in memory.

import { setTimeout as delay } from 'node:timers/promises';

import { Aggregate } from 'io-lite';
import type { HttpRequest } from 'io-lite/http';

import { isShortOfMemory, messageOf } from './failures';
import { log } from './log';
import type { Piece } from './multipart';
import type { ByteSource, Selection } from './representation';

// How long a part waits for memory: others may finish meanwhile.
const kMemoryWaitMs = 100;
const kMemoryWaitsMax = 200;

// All of the selection at once; undefined when the disk is needed.
export function tryGather({ source, pieces }: Selection): Aggregate | undefined {
  const [only] = pieces;
  if (pieces.length === 1 && typeof only === 'object') {
    return source.tryRead(only.offset, only.length);
  }
  const body = Aggregate.empty();
  try {
    for (const piece of pieces) {
      const bytes = typeof piece === 'string' ? piece : source.tryRead(piece.offset, piece.length);
      if (bytes === undefined) {
        body.dispose();
        return undefined;
      }
      append(body, bytes);
    }
  } catch (error) {
    body.dispose();
    throw error;
  }
  return body;
}

// The same, reading what is missing.
export async function gather({ source, pieces }: Selection): Promise<Aggregate> {
  const body = Aggregate.empty();
  try {
    for (const piece of pieces) {
      append(body, typeof piece === 'string' ? piece : await source.read(piece.offset, piece.length));
    }
  } catch (error) {
    body.dispose();
    throw error;
  }
  return body;
}

function append(body: Aggregate, bytes: string | Aggregate): void {
  try {
    body.append(bytes);
  } finally {
    if (typeof bytes !== 'string') bytes.dispose();
  }
}

// Sends the selection in parts of at most so many bytes. The first is read before anything is sent:
// what goes wrong until then is the caller's. The length is promised with the head: what cannot be
// kept from then on cuts the connection. Parts come from one version of the file or not at all.
export async function streamSelection(
  request: HttpRequest, selection: Selection, partBytes: number,
): Promise<void> {
  const { source, head, length } = selection;
  const parts = partsOf(selection.pieces, partBytes);
  let lead = '';
  let next = parts.next();
  for (; typeof next.value === 'string'; next = parts.next()) lead += next.value;
  if (next.done === true) throw new Error('a selection without bytes of a file');
  using first = await source.read(next.value.offset, next.value.length);
  if (lead !== '') first.prepend(lead);
  request.start(head, length);
  try {
    await request.write(first);
    for (const part of parts) {
      using bytes = typeof part === 'string'
        ? Aggregate.from(part) : await readPart(request, source, part.offset, part.length);
      await request.write(bytes);
    }
    request.end();
  } catch (error) {
    if (request.isOpen) log(`${source.path} was cut: ${messageOf(error)}`);
    request.abort();
  }
}

function* partsOf(pieces: readonly Piece[], partBytes: number): Generator<Piece, undefined> {
  for (const piece of pieces) {
    if (typeof piece === 'string') {
      yield piece;
      continue;
    }
    const end = piece.offset + piece.length;
    for (let { offset } = piece; offset < end; offset += partBytes) {
      yield { offset, length: Math.min(partBytes, end - offset) };
    }
  }
}

async function readPart(
  request: HttpRequest, source: ByteSource, offset: number, length: number,
): Promise<Aggregate> {
  for (let waits = 0; ; waits++) {
    try {
      return source.tryRead(offset, length) ?? await source.read(offset, length);
    } catch (error) {
      if (!isShortOfMemory(error) || waits === kMemoryWaitsMax || !request.isOpen) throw error;
    }
    await delay(kMemoryWaitMs);
  }
}
