// Runs a shell command whose programs share a window: pipes between those that know it carry names, not bytes.
//
//   node --import=tsx examples/with-window.mts 'node --import=tsx examples/permute.mts | node --import=tsx examples/wc.mts'
//
// It hosts the window, says so in their environment (IOL_WINDOW), and ends as the command ends.
import { once } from 'node:events';

import { Window } from 'io-lite';

const [command] = process.argv.slice(2);
if (command === undefined) {
  console.error('usage: with-window.mts COMMAND');
  process.exit(2);
}
await using window = await Window.create({ label: 'host' });
const child = window.spawn('sh', ['-c', command], { stdio: 'inherit' });
const [status] = (await once(child, 'exit')) as [number | null];
process.exitCode = status ?? 1;
