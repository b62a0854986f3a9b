// The machine block: what a figure was measured on.
import { readFileSync } from 'node:fs';
import { arch, cpus, loadavg, release, totalmem } from 'node:os';
import { run } from './children.mjs';

const BUSY_LOAD_AVERAGE = 0.5;

async function firstLine(command, args) {
  try {
    const { code, stdout, stderr } = await run(command, args);
    return code === 0 ? (stdout || stderr).trim().split('\n')[0] : null;
  } catch {
    return null;
  }
}

function governor() {
  try {
    return readFileSync('/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor', 'utf8').trim();
  } catch {
    return null; // a virtual machine, as a rule
  }
}

async function commit(directory) {
  const id = await firstLine('git', ['-C', directory, 'rev-parse', '--short=10', 'HEAD']);
  if (id === null) return null;
  const changed = await firstLine('git', ['-C', directory, 'status', '--porcelain', '--untracked-files=no']);
  return changed ? `${id} with changes` : id;
}

export async function machineBlock(directory) {
  return {
    date: new Date().toISOString(),
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    governor: governor(),
    kernel: `Linux ${release()} ${arch()}`,
    node: process.version,
    compiler: await firstLine('cc', ['--version']),
    commit: await commit(directory),
    loadAverage: loadavg()[0],
  };
}

/** The block as lines for a reader. */
export function describeMachine(machine) {
  const lines = Object.entries(machine).map(([name, value]) => {
    const shown = typeof value === 'number' ? Number(value.toFixed(2)) : value ?? 'unknown';
    return `  ${name.padEnd(14)}${shown}`;
  });
  return ['Machine', ...lines].join('\n');
}

/** A sentence when something else is running here, or null. */
export function loadWarning() {
  const [now] = loadavg();
  return now > BUSY_LOAD_AVERAGE
    ? `the load average is ${now.toFixed(2)}: something else is running; figures will be disturbed`
    : null;
}
