// What the benches of servers need of the host, and what they write before they measure.
import { accessSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { exists } from './children.mjs';
import { MissingError } from './compile.mjs';
import { UsageError } from './options.mjs';

/** Throws unless processor time can be read here, and processes can be pinned. */
export async function checkHost() {
  if (process.platform !== 'linux') throw new MissingError('this bench reads /proc and runs on Linux only');
  if (!await exists('taskset', ['--version'])) {
    throw new MissingError('taskset is not installed (Debian: apt install util-linux)');
  }
  try {
    accessSync(`/proc/self/task/${process.pid}/schedstat`);
  } catch {
    throw new MissingError('the kernel has no /proc/PID/schedstat (CONFIG_SCHED_INFO)');
  }
}

/** Finds out before the measuring, not after it, that the results cannot be written. */
export async function openResults(file) {
  if (file === undefined) return;
  try {
    await writeFile(file, '');
  } catch (error) {
    throw new UsageError(`--json: ${error.message}`);
  }
}

export function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
