// bench:cold: what a cold read through the file cache costs beside an ordinary buffered read. See bench/README.md.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildPrograms, chooseCompiler, coreSources, root } from '../../scripts/native-build.mjs';
import { fixed, grouped, median, sizeName, spread, table } from '../lib/format.mjs';
import { describeMachine, loadWarning, machineBlock } from '../lib/machine.mjs';

const YARDSTICK = 'read';
const TMPFS_MAGIC = 0x01021994;

const HELP = `bench:cold: CPU and wall time of cold reads through the file cache, beside read(2)

  npm run bench:cold -- [options]

  --quick        fewer rounds: some 20 seconds
  --rounds N     measurements of each subject and case (default 15; --quick 5)
  --folder DIR   where the files are written; it must be on a disk (default /var/tmp)
  --json FILE    also write { machine, rows } there
`;

function casesOf(quick) {
  return [
    { bytes: 64 << 20, files: 1 },
    { bytes: 1 << 20, files: quick ? 16 : 64 },
    { bytes: 8 << 10, files: quick ? 500 : 2000 },
    { bytes: 700, files: quick ? 500 : 2000 },
  ].map((each) => ({ ...each, name: `${each.files} x ${sizeName(each.bytes)}` }));
}

function measure(program, folder, rounds, { bytes, files, name }) {
  const scratch = mkdtempSync(join(folder, 'iol-cold-read-'));
  try {
    const { status, stdout, error } = spawnSync(
      program,
      [scratch, String(rounds), String(bytes), String(files), name],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 64 << 20 },
    );
    if (error !== undefined || status !== 0) throw new Error(`the bench program ended with ${error ?? status} in ${name}`);
    return stdout.trim().split('\n').map((line) => JSON.parse(line));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Medians by subject; ratios are taken within each round. */
function summarize(samples) {
  const subjects = [...new Set(samples.map((sample) => sample.subject))];
  const of = (subject, key) => samples
    .filter((sample) => sample.subject === subject)
    .sort((a, b) => a.round - b.round)
    .map((sample) => sample[key]);
  const ratio = (subject, key) => {
    const base = of(YARDSTICK, key);
    return median(of(subject, key).map((value, round) => value / base[round]));
  };
  return subjects.sort((a, b) => (b === YARDSTICK) - (a === YARDSTICK)).map((subject) => ({
    subject,
    cpu_ms: median(of(subject, 'cpuMs')),
    cpu_ratio_to_read: ratio(subject, 'cpuMs'),
    wall_ms: median(of(subject, 'wallMs')),
    wall_ratio_to_read: ratio(subject, 'wallMs'),
    wall_spread: spread(of(subject, 'wallMs')),
    page_cache_bytes_left: Math.max(...of(subject, 'residentAfter')),
  }));
}

const UNITS = {
  cpu_ms: 'ms', cpu_ratio_to_read: '1', wall_ms: 'ms', wall_ratio_to_read: '1', wall_spread: '1',
  page_cache_bytes_left: 'bytes',
};

function print(name, results) {
  const rows = results.map((each) => [
    each.subject, fixed(each.cpu_ms, 2), fixed(each.cpu_ratio_to_read, 2), fixed(each.wall_ms, 2),
    fixed(each.wall_ratio_to_read, 2), fixed(each.wall_spread, 2), grouped(each.page_cache_bytes_left),
  ]);
  const heading = ['subject', 'cpu ms', 'x read', 'wall ms', 'x read', 'spread', 'left in page cache'];
  console.log(`\n${name}\n${table([heading, ...rows])}`);
}

async function main() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      folder: { type: 'string', default: '/var/tmp' },
      json: { type: 'string' },
    },
  });
  if (values.help) return void console.log(HELP);
  const rounds = Number(values.rounds ?? (values.quick ? 5 : 15));
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds must be a whole number from 1, not '${values.rounds}'`);
  if (statfsSync(values.folder).type === TMPFS_MAGIC) throw new Error(`--folder: ${values.folder} is in memory, not on a disk`);
  if (values.json !== undefined) writeFileSync(values.json, '');

  const source = 'bench/cold-read/native/cold_read.cc';
  const { cold_read: program } = await buildPrograms({
    folder: 'build/bench-cold-read',
    compiler: chooseCompiler(),
    flags: ['-O2'],
    programs: { cold_read: [...coreSources(), source] },
  });
  const machine = await machineBlock(root);
  console.log(describeMachine(machine));
  const warning = loadWarning();
  if (warning !== null) console.log(warning);
  const rows = [];
  for (const each of casesOf(values.quick)) {
    const results = summarize(measure(program, values.folder, rounds, each));
    print(each.name, results);
    for (const { subject, ...figures } of results) {
      for (const [metric, value] of Object.entries(figures)) {
        rows.push({ bench: 'cold-read', case: each.name, subject, metric, value, unit: UNITS[metric] });
      }
    }
  }
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ machine, rows }, null, 2)}\n`);
}

main().catch((error) => {
  console.error(`bench:cold: ${error.message}`);
  process.exitCode = 2;
});
