// bench:permute: permute | wc as two programs, by name and by pipe. See bench/README.md.
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { median, parseSize, sizeName, spread } from '../lib/format.mjs';
import { describeMachine, loadWarning, machineBlock } from '../lib/machine.mjs';
import { iolite } from './iolite.mjs';
import { bytesOf } from './words.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const HELP = `bench:permute: permute | wc as two programs, by name and by pipe

  npm run bench:permute -- [options]

  --quick         9 words and three rounds: some ten seconds
  --words N       permutations of so many words of eight letters (default 10: 290 MB; --quick 9: 26 MB)
  --piece SIZE    what permute writes, and wc asks for, at a time (default 128KiB)
  --rounds N      runs of each subject (default 5; --quick 3)
  --json FILE     also write { machine, run, rows } there
  --help          this text
`;
const TIMEOUT_MS = 120_000;

/** By name needs a window; without one the same programs read and write bytes. */
const SUBJECTS = [
  { name: 'by name', way: 'io-lite', hasWindow: true },
  { name: 'by pipe', way: 'io-lite', hasWindow: false },
  { name: 'fs', way: 'fs', hasWindow: false },
];

class UsageError extends Error {}

function parseOptions() {
  const string = { type: 'string' };
  const flag = { type: 'boolean', default: false };
  let values;
  try {
    ({ values } = parseArgs({
      options: { quick: flag, help: flag, words: string, piece: string, rounds: string, json: string },
    }));
  } catch (error) {
    throw new UsageError(error.message);
  }
  const words = Number(values.words ?? (values.quick ? 9 : 10));
  const rounds = Number(values.rounds ?? (values.quick ? 3 : 5));
  const pieceBytes = parseSize(values.piece ?? '128KiB');
  if (!(Number.isInteger(words) && words >= 1 && words <= 11)) throw new UsageError(`--words must be 1 to 11, not '${values.words}'`);
  if (!(Number.isInteger(rounds) && rounds >= 1 && rounds <= 1000)) throw new UsageError(`--rounds must be 1 to 1000, not '${values.rounds}'`);
  if (pieceBytes === null || pieceBytes < 4096 || pieceBytes > 16 << 20) {
    throw new UsageError(`--piece must be a size from 4KiB to 16MiB, not '${values.piece}'`);
  }
  return { ...values, words, rounds, pieceBytes };
}

/** One run: seconds from its start to its end, and the processor time of both programs. */
async function runOnce({ name, way, hasWindow }, { words, pieceBytes }, window) {
  const line = `"$NODE" permute.mjs ${way} ${words} ${pieceBytes} | "$NODE" wc.mjs ${way} ${pieceBytes}`;
  const options = {
    cwd: HERE,
    env: { ...process.env, NODE: process.execPath, IOL_WINDOW: '' },
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
    timeout: TIMEOUT_MS,
  };
  const started = performance.now();
  const child = hasWindow ? window.spawn('sh', ['-c', line], options) : spawn('sh', ['-c', line], options);
  const said = await text(child.stdio[3]);
  const seconds = (performance.now() - started) / 1000;
  const reports = said.trim().split('\n').filter(Boolean).map((each) => JSON.parse(each));
  const counted = reports.find(({ program }) => program === 'wc');
  const lines = bytesOf(words) / words / 8;
  if (reports.length !== 2 || counted.bytes !== bytesOf(words) || counted.lines !== lines || counted.words !== lines * words) {
    throw new Error(`${name}: ${said === '' ? 'nobody said what it had counted' : `wrong counts: ${said}`}`);
  }
  return { seconds, cpu: reports.reduce((sum, { cpuUs }) => sum + cpuUs, 0) / 1e6 };
}

async function bench(options) {
  const machine = await machineBlock(HERE);
  console.log(`${describeMachine(machine)}\n`);
  if (loadWarning()) console.log(`Warning: ${loadWarning()}\n`);
  const { words, rounds, pieceBytes } = options;
  console.log(`permute | wc: ${words} words, ${bytesOf(words)} bytes in pieces of ${sizeName(pieceBytes)}, ${rounds} rounds\n`);
  const samples = new Map(SUBJECTS.map(({ name }) => [name, []]));
  const window = await iolite.Window.create({ label: 'bench' });
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < SUBJECTS.length; i++) {
      const subject = SUBJECTS[(i + round) % SUBJECTS.length];
      samples.get(subject.name).push(await runOnce(subject, options, window));
    }
  }
  window.close();
  const rows = [];
  const pick = (name, key) => samples.get(name).map((each) => each[key]);
  console.log('           seconds  (spread)    CPU s   x by pipe (seconds)   x by pipe (CPU)');
  for (const { name } of SUBJECTS) {
    const ratio = (key) => median(pick(name, key).map((value, i) => value / pick('by pipe', key)[i]));
    const figures = {
      seconds: median(pick(name, 'seconds')), cpu_seconds: median(pick(name, 'cpu')),
      ratio_to_pipe: ratio('seconds'), cpu_ratio_to_pipe: ratio('cpu'),
    };
    console.log(`${name.padEnd(10)} ${figures.seconds.toFixed(3).padStart(7)}  (${Math.round(100 * spread(pick(name, 'seconds')))} %)` +
      `${figures.cpu_seconds.toFixed(3).padStart(12)}${figures.ratio_to_pipe.toFixed(2).padStart(14)}${figures.cpu_ratio_to_pipe.toFixed(2).padStart(22)}`);
    for (const [metric, value] of Object.entries(figures)) {
      rows.push({ case: `permute | wc, ${words} words`, subject: name, metric, value, unit: metric.includes('ratio') ? 'x' : 's' });
    }
  }
  const saved = 100 * (1 - rows.find(({ subject, metric }) => subject === 'by name' && metric === 'ratio_to_pipe').value);
  console.log(`\nBy name against by pipe: ${saved >= 0 ? '-' : '+'}${Math.abs(saved).toFixed(0)} % run time (the paper: -24 %)`);
  if (options.json !== undefined) {
    await writeFile(options.json, `${JSON.stringify({ machine, run: { words, rounds, pieceBytes }, rows }, null, 1)}\n`);
  }
}

try {
  const options = parseOptions();
  if (options.help) console.log(HELP);
  else await bench(options);
} catch (error) {
  console.error(error instanceof UsageError ? `bench:permute: ${error.message}` : error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
