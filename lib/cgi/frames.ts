/**
 * What a server and its workers say to each other: the metadata of channel messages, whose bytes are
 * the payload. Numbers are little-endian.
 *
 *   0 kind   1 flags   2..3 a small number   4..7 id of the request   8..15 a length (double)
 *   16..17 number of a head   18.. text
 *
 * Frames are made and read where the addon has them: no object is made for one.
 */
import { frameIn, frameOut, metadataBytesMax } from '../channel/metadata';
import { native } from '../native';

/** Kinds of frames; those below 16 are the server's. */
export enum Frame {
  /** small: HTTP/1.x; length: of the body; text: a line with the client's address and port, and of HTTPS the server's, then the head. */
  Request = 1,
  /** payload: the next bytes of the request's body. */
  Body = 2,
  /** The client has left, or nobody waits any more. */
  Cancel = 3,
  /** length: so many more bytes of the answer may be sent. */
  AnswerCredit = 4,
  /** To be answered with Pong at once. */
  Ping = 5,
  /** Before the first Request. text: the server's address and port. */
  Server = 6,
  /** The File is being sent, whatever becomes of it: the request has ended for the worker. */
  FileTaken = 7,
  /**
   * Nothing of the File was sent, the request is still to be answered. text: a code, the system call,
   * and why, a line each; length: the system's error number or 0.
   */
  FileRefused = 8,
  /**
   * length: of the body or -1; payload: the first bytes. small: status, text: header lines, which are
   * kept under the head's number; or `isKnownHead`: those that were kept under it.
   */
  Head = 16,
  /** payload: the next bytes of the answer. */
  Part = 17,
  /** length: so many more bytes of the request's body may be sent. */
  BodyCredit = 18,
  /** The handler has failed: there is no answer, or no end of it. text: why. */
  Failed = 19,
  Pong = 20,
  /**
   * The whole answer, of a file of the server's: its head by number; length: of the body, -1 to the
   * end of the file; text: the offset, a space, the path in UTF-8 (with `textInPayload`: all of it).
   */
  File = 21,
}

/** Flags: the last frame of its direction for this request. */
export const isLast = 1;
/** The head does not fit and is at the beginning of the payload; a Head's text is its length then. */
export const textInPayload = 2;
/** Of a Request: there is a body. */
export const hasBody = 4;
/** Of a Failed: the worker may not survive it. */
export const mayDie = 8;
/** Of a Head: it was sent before, under its number. */
export const isKnownHead = 16;
/** Of a Head: it is to be kept, the answer that has it comes in another frame. */
export const isHeadOnly = 32;

export const headerBytes = 18;
export const textBytesMax = metadataBytesMax - headerBytes;
/** Of a head that does not fit the metadata. */
export const longTextBytesMax = 80 << 10;
/** Of a File that does not fit: a path is shorter than 4096 bytes. */
export const longFileTextBytesMax = 4096 + 32;
/** Heads that a server keeps of one worker. */
export const headsMax = 256;

/** Bytes of one direction of one request that may be on their way. */
export const creditBytes = 1 << 20;

/**
 * Makes a frame in {@link frameOut}, for the next sendFrame(), which is to follow at once. The text is
 * latin1.
 *
 * @returns its bytes.
 */
export function putFrame(
  kind: Frame, id: number, flags = 0, small = 0, length = 0, text = '', head = 0,
): number {
  frameOut[0] = kind;
  frameOut[1] = flags;
  frameOut.writeUInt16LE(small, 2);
  frameOut.writeUInt32LE(id, 4);
  frameOut.writeDoubleLE(length, 8);
  frameOut.writeUInt16LE(head, 16);
  return headerBytes + (text === '' ? 0 : frameOut.write(text, headerBytes, 'latin1'));
}

/** A frame that was received: read it before anything else is received. */
export interface Received {
  kind: Frame;
  flags: number;
  small: number;
  id: number;
  length: number;
  head: number;
}

/** The one that {@link readFrame} has read last. */
export const received: Received = { kind: 0 as Frame, flags: 0, small: 0, id: 0, length: 0, head: 0 };
let textEnd = 0;

/** Reads what takeFrame() has taken last; false when it is no frame. */
export function readFrame(): boolean {
  textEnd = native.scratch[1]!;
  if (textEnd < headerBytes) return false;
  received.kind = frameIn[0]!;
  received.flags = frameIn[1]!;
  received.small = frameIn.readUInt16LE(2);
  received.id = frameIn.readUInt32LE(4);
  received.length = frameIn.readDoubleLE(8);
  received.head = frameIn.readUInt16LE(16);
  return true;
}

/** Its text. */
export const receivedText = (): string => frameIn.toString('latin1', headerBytes, textEnd);
