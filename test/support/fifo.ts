// A FIFO whose two ends are open here.
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';

/** Makes one of that name. Both ends block, and are the caller's to close. */
export function openFifo(name: string): { reader: number; writer: number } {
  execFileSync('mkfifo', [name]);
  const both = openSync(name, constants.O_RDWR);  // Else each would wait for the other to be opened.
  const reader = openSync(name, constants.O_RDONLY);
  const writer = openSync(name, constants.O_WRONLY);
  closeSync(both);
  return { reader, writer };
}
