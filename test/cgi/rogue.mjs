// A worker that answers with frames that no worker makes: the path names one of them.
import { Aggregate, Window } from 'io-lite';

const { slot, epoch, name } = JSON.parse(process.env.IOL_CGI);
const channel = await Window.default().connect({ slot, epoch }, { name });
const [head, file] = [16, 21];
const [isLong, isHeadOnly] = [2, 32];

function frame(kind, id, { flags = 0, small = 0, length = 0, text = '', number = 0 } = {}) {
  const bytes = Buffer.alloc(18 + text.length);
  bytes[0] = kind;
  bytes[1] = flags;
  bytes.writeUInt16LE(small, 2);
  bytes.writeUInt32LE(id, 4);
  bytes.writeDoubleLE(length, 8);
  bytes.writeUInt16LE(number, 16);
  bytes.write(text, 18, 'latin1');
  return bytes;
}

const path = new URL(import.meta.url).pathname;
const known = (id, status = 200) => [frame(head, id, { flags: isHeadOnly, small: status, length: -1 })];
const asking = (id, facts) => frame(file, id, { length: -1, text: `0 ${path}`, ...facts });
const answers = {
  good: (id) => [...known(id), asking(id)],
  'unknown-head': (id) => [asking(id, { number: 99 })],
  'no-body': (id) => [...known(id, 204), asking(id)],
  'too-long': (id) => [...known(id), asking(id, { text: '', flags: isLong })],
};

const empty = Aggregate.empty();
const long = Aggregate.from(`0 /${'x'.repeat(5000)}`);
for await (const { aggregate, metadata } of channel) {
  aggregate.dispose();
  if (metadata[0] !== 1) continue;
  const id = Buffer.from(metadata).readUInt32LE(4);
  const text = Buffer.from(metadata.subarray(18)).toString('latin1');
  const action = / \/app\/(\S+) /.exec(text)[1];
  for (const bytes of answers[action](id)) {
    await channel.send((bytes[1] & isLong) === 0 ? empty : long, bytes);
  }
}
