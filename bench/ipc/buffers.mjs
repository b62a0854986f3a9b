// How the rivals fill: into buffers that were allocated before, used again when the receiver has answered.

/** Messages under way at most; `--quick` or not, whatever the size. */
export const DEPTH_MAX = 64;

/** `spare` bytes before the message are for `head(buffer)`, which is called once. */
export function bufferLink(spare = 0, head = () => {}) {
  let size = -1;
  let buffers = [];
  let turn = 0;
  const allocate = (bytes) => {
    const buffer = Buffer.from(new ArrayBuffer(spare + bytes));
    head(buffer);
    return buffer;
  };
  return {
    reads: false,
    again: (bytes, value) => allocate(bytes).fill(value, spare),
    fresh(bytes, value) {
      if (bytes !== size) [size, buffers, turn] = [bytes, [], 0];
      const place = turn++ % depthOf(bytes);
      buffers[place] ??= allocate(bytes);
      return buffers[place].fill(value, spare);
    },
    release() {},
  };
}

/** How many messages of that size are under way when throughput is measured. */
export const depthOf = (size) => Math.max(2, Math.min(DEPTH_MAX, (64 << 20) / size | 0));
