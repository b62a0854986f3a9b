// Two processes share one copy of some bytes: the parent makes them, the child reads them where they are.
//
//   node --import=tsx examples/two-processes.mts [BYTES]
//
// Both print the address of the first byte, which is the same. Only its name went over the channel.
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { Aggregate, type Channel, Window } from 'io-lite';

async function parent(byteLength: number): Promise<void> {
  await using window = await Window.create({ label: 'parent' });
  const opened = once(window, 'channel') as Promise<[Channel]>;
  const child = window.spawn(process.execPath, ['--import=tsx', fileURLToPath(import.meta.url)], {
    stdio: 'inherit',
  });
  const ended = once(child, 'exit');
  const [channel] = await opened;

  const draft = window.defaultPool.allocate(byteLength);
  draft.fill('io-lite ');
  using bytes = draft.seal();
  console.log(`parent: ${bytes.byteLength} bytes at ${bytes.slices()[0]!.address}`);
  await channel.send(bytes, 'all of it');
  using part = bytes.slice(-8);
  await channel.send(part, 'its end');
  // The channel has its end once both were received.
  channel.close();
  await ended;
}

async function child(): Promise<void> {
  await using window = await Window.attach({ label: 'child' });
  const channel = await window.connect('parent');
  for await (const message of channel) {
    using all: Aggregate = message.aggregate;
    const [first] = all.slices();
    console.log(`child: ${message.metadata}, ${all.byteLength} bytes at ${first!.address}`);
  }
  channel.close();
}

if (process.env['IOL_WINDOW']) await child();
else await parent(Number(process.argv[2] ?? 1 << 20));
