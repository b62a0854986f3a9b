/**
 * The bytes beside a message's aggregate: checked, kept, and where the addon puts and takes them.
 */
import { native } from '../native';
import { byteLengthOf, outOfRange, validateBytes } from '../validate';

/** Most bytes of a message's metadata. */
export const metadataBytesMax = 1024;
export const noMetadata = Buffer.alloc(0);

/** Most messages that are taken at once. */
export const batchMax = 64;

// What the addon has there: EnvState::ChannelMemory.
const { buffer } = native.channelMemory;

/** For the CGI code, which makes no object per message: metadata of what takeFrame() took. */
export const frameIn = Buffer.from(buffer, 0, metadataBytesMax);
/** The same of what sendFrame() is to send. */
export const frameOut = Buffer.from(buffer, metadataBytesMax, metadataBytesMax);
/** Of each message that was taken last: its aggregate's handle, bytes, bytes of metadata. */
export const batched = new Float64Array(buffer, 2 * metadataBytesMax, 3 * batchMax);
/** Their metadata, one after the other. */
export const batchedMetadata = Buffer.from(buffer, 2 * metadataBytesMax + batched.byteLength);

export function metadataOf(metadata: unknown): Uint8Array | undefined {
  if (metadata === undefined) return undefined;
  const bytes = typeof metadata === 'string' ? Buffer.from(metadata) : metadata;
  validateBytes(bytes, 'metadata', 'of type string or an instance of Uint8Array');
  const byteLength = byteLengthOf(bytes);
  if (byteLength > metadataBytesMax) {
    throw outOfRange('metadata.byteLength', `<= ${metadataBytesMax}`, byteLength);
  }
  return bytes;
}

/** A copy: the caller may use the memory again. */
export function keepMetadata(metadata: Uint8Array | undefined): Uint8Array | undefined {
  return metadata === undefined ? undefined : Uint8Array.from(metadata);
}
