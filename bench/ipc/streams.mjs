// Links over byte streams: eight bytes of length before each message; an answer is a length of 0.
import { once } from 'node:events';
import { bufferLink } from './buffers.mjs';
import { check } from './content.mjs';

const HEAD_BYTES = 8;
const ACK = Buffer.alloc(HEAD_BYTES);

export function overStreams(input, output) {
  input.setNoDelay?.();
  const post = (bytes) => (output.write(bytes) ? undefined : once(output, 'drain'));
  return {
    ...bufferLink(HEAD_BYTES, (buffer) => buffer.writeDoubleLE(buffer.length - HEAD_BYTES)),
    send: post,
    sendFresh: post,
    ack: () => post(ACK),
    listen(onMessage, valueOf) {
      const head = Buffer.alloc(HEAD_BYTES);
      let headBytes = 0;
      let left = 0;
      input.on('data', (data) => {
        let at = 0;
        while (at < data.length) {
          if (left === 0) {
            const part = data.copy(head, headBytes, at, at + HEAD_BYTES - headBytes);
            headBytes += part;
            at += part;
            if (headBytes < HEAD_BYTES) return;
            headBytes = 0;
            left = head.readDoubleLE();
          }
          const end = Math.min(at + left, data.length);
          if (this.reads && end > at) check(data.subarray(at, end), valueOf());
          left -= end - at;
          at = end;
          if (left === 0) onMessage();
        }
      });
    },
  };
}
