// A bench as a program: what it starts and writes is gone when it ends, in whichever way that is.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run, stopAll } from './children.mjs';
import { MissingError } from './compile.mjs';
import { progress } from './host.mjs';
import { describeMachine, loadWarning } from './machine.mjs';
import { UsageError } from './options.mjs';

let scratch = null;

/** A temporary folder, until the end of the bench. */
export async function makeScratch(name) {
  scratch = await mkdtemp(join(tmpdir(), `iol-bench-${name}-`));
  return scratch;
}

/**
 * `main()` resolves to the exit status. Without it, 2: the bench could not run. `cleanUp` ends what children.mjs did
 * not start. Signals, and a reader of the output who has gone, end the bench early and as cleanly.
 */
export async function runBench(name, main, cleanUp = async () => {}) {
  let interrupted = false;
  const cleanAll = async () => {
    await stopAll();
    await cleanUp();
    if (scratch !== null) await rm(scratch, { recursive: true, force: true });
  };
  const endEarly = async (why, status) => {
    if (interrupted) return;
    interrupted = true;
    progress('');
    console.error(`bench:${name}: ${why}: ending what was started`);
    await cleanAll();
    process.exit(status);
  };
  for (const [signal, status] of [['SIGHUP', 129], ['SIGINT', 130], ['SIGTERM', 143]]) {
    process.on(signal, () => endEarly(signal, status));
  }
  process.on('uncaughtException', (error) => endEarly(error.message, 2));

  let status = 2;
  try {
    status = await main();
  } catch (error) {
    const expected = error instanceof UsageError || error instanceof MissingError;
    if (!interrupted) console.error(`bench:${name}: ${expected ? error.message : error.stack}`);
  }
  if (interrupted) return;
  await cleanAll();
  process.exitCode = status;
}

/** `--list`: what there is, and what is missing for the rest. */
export async function printList(subjects) {
  const width = Math.max(...subjects.map(({ name }) => name.length)) + 2;
  for (const { name, about, available } of subjects) {
    const there = await available();
    console.log(`${name.padEnd(width)}${there === true ? about : `missing: ${there}`}`);
  }
}

/** What a reader must know before the figures. */
export function printMachine(machine, ...warnings) {
  console.log(`${describeMachine(machine)}\n`);
  for (const warning of [loadWarning(), ...warnings]) if (warning) console.log(`Warning: ${warning}\n`);
}

/** Puts this process on the load's processor, out of the servers' way. */
export const leaveServersAlone = (cpus) => run('taskset', ['-a', '-c', '-p', String(cpus.load), String(process.pid)]);

/**
 * Starts those of `[{ name, about, available, start }]` that are there, and says which are not. Resolves to
 * `{ started: Map of name to server, failures: Map of name to why }`.
 */
export async function startAll(wanted, options) {
  const started = new Map();
  const failures = new Map();
  const width = Math.max(...wanted.map(({ name }) => name.length)) + 2;
  const say = (name, what) => {
    progress('');
    console.log(`  ${name.padEnd(width)}${what}`);
  };
  for (const { name, about, available, start } of wanted) {
    const there = await available();
    if (there !== true) {
      say(name, `left out: ${there}`);
      continue;
    }
    progress(`starting ${name}`);
    try {
      started.set(name, await start(options));
      say(name, about);
    } catch (error) {
      if (error instanceof MissingError) {
        say(name, `left out: ${error.message}`);
        continue;
      }
      say(name, `did not start: ${error.message}`);
      failures.set(name, 'did not start');
    }
  }
  return { started, failures };
}

/** The file of --json. */
export async function writeResults(file, results) {
  if (file !== undefined) await writeFile(file, `${JSON.stringify(results, null, 1)}\n`);
}
