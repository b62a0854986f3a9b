/**
 * What a server and its workers say to each other: the metadata of channel messages, whose bytes are
 * the payload. Numbers are little-endian.
 *
 *   0 kind   1 flags   2..3 a small number   4..7 id of the request   8..15 a length (double)   16.. text
 */

/** Kinds of frames; the first five are the server's. */
export enum Frame {
  /** small: HTTP/1.x and length of the client's address; length: of the body; text: address, head. */
  Request = 1,
  /** payload: the next bytes of the request's body. */
  Body = 2,
  /** The client has left, or nobody waits any more. */
  Cancel = 3,
  /** length: so many more bytes of the answer may be sent. */
  AnswerCredit = 4,
  /** To be answered with Pong at once. */
  Ping = 5,
  /** small: status; length: of the body or -1; text: header lines; payload: the first bytes. */
  Head = 16,
  /** payload: the next bytes of the answer. */
  Part = 17,
  /** length: so many more bytes of the request's body may be sent. */
  BodyCredit = 18,
  /** The handler has failed: there is no answer, or no end of it. text: why. */
  Failed = 19,
  Pong = 20,
}

/** Flags: the last frame of its direction for this request. */
export const isLast = 1;
/** The head does not fit and is at the beginning of the payload; a Head's text is its length then. */
export const textInPayload = 2;
/** Of a Failed: the worker may not survive it. */
export const mayDie = 8;
/** Of a Request: there is a body. */
export const hasBody = 4;

export const headerBytes = 16;
export const metadataBytesMax = 1024;
export const textBytesMax = metadataBytesMax - headerBytes;
/** Of a head that does not fit the metadata. */
export const longTextBytesMax = 80 << 10;

/** Bytes of one direction of one request that may be on their way. */
export const creditBytes = 1 << 20;

/** A frame that was received. */
export interface Received {
  readonly kind: Frame;
  readonly flags: number;
  readonly small: number;
  readonly id: number;
  readonly length: number;
}

const scratch = Buffer.alloc(metadataBytesMax);

/**
 * Makes the metadata of a frame in memory that the next call uses again: a channel copies it.
 * The text is latin1.
 */
export function frame(
  kind: Frame, id: number, flags = 0, small = 0, length = 0, text = '',
): Uint8Array {
  scratch[0] = kind;
  scratch[1] = flags;
  scratch.writeUInt16LE(small, 2);
  scratch.writeUInt32LE(id, 4);
  scratch.writeDoubleLE(length, 8);
  const bytes = text === '' ? 0 : scratch.write(text, headerBytes, 'latin1');
  return scratch.subarray(0, headerBytes + bytes);
}

/** The fields of a frame, or undefined when it is none. */
export function parseFrame(metadata: Buffer): Received | undefined {
  if (metadata.length < headerBytes) return undefined;
  return {
    kind: metadata[0]!,
    flags: metadata[1]!,
    small: metadata.readUInt16LE(2),
    id: metadata.readUInt32LE(4),
    length: metadata.readDoubleLE(8),
  };
}

export const textOf = (metadata: Buffer): string => metadata.toString('latin1', headerBytes);
