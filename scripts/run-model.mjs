// Checks the models of holds, channels, joining and letting go (test/model/*.pml) with Spin: the protocol holds in every
// configuration, its interesting states are reachable, and each ingredient taken out is caught.
// --help says how to call it; test/model/README.md says what is modelled.
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const modelFile = (name) => fileURLToPath(new URL(`../test/model/${name}`, import.meta.url));

// memoryMiB is pan's own limit: beyond it the run counts as failed, not as passed.
const quickMemoryMiB = 3000;
const fullMemoryMiB = 12000;

// Configurations in which the unmutated model must hold. `quick` ones are run by --quick too.
// `file` is the model, holds.pml unless told.
const bases = [
  { name: 'pair', quick: true, switches: { DEATHS: 1, OWNER_DIES: 1 } },
  { name: 'pair-join', quick: true, switches: { LATE: 1 } },
  { name: 'pair-eof', quick: true, switches: { EOFS: 1 } },
  { name: 'pair-overtake', quick: true, switches: { DEATHS: 1, OWNER_DIES: 1, OVERTAKE: 1 } },
  { name: 'pair-chunks', quick: true, switches: { DEATHS: 1, OWNER_DIES: 1, CHUNKS: 1, BUFFER: 4 } },
  { name: 'pair-clones', switches: { HANDLES: 2, DEATHS: 2, OWNER_DIES: 1 } },
  { name: 'ring-sc', quick: true, switches: { DOMAINS: 3, BUFFER: 0, DEATHS: 1, OWNER_DIES: 1 } },
  { name: 'spare-remove-fence', switches: { DEATHS: 1, OWNER_DIES: 1, SPARE_REMOVE_FENCE: 1 } },
  { name: 'spare-entry-re-check', switches: { DEATHS: 1, OWNER_DIES: 1, SPARE_ENTRY: 1 } },
  { name: 'pair-all', hashBits: 24, switches: { HANDLES: 2, DEATHS: 2, OWNER_DIES: 1, LATE: 1, EOFS: 1 } },
  { name: 'pair-twice', hashBits: 24, switches: { HANDLES: 2, DEATHS: 2, OWNER_DIES: 1, RECYCLES: 2 } },
  { name: 'ring-join-sc', switches: { DOMAINS: 3, BUFFER: 0, HANDLES: 2, DEATHS: 1, OWNER_DIES: 1, LATE: 1 } },
  { name: 'ring', hashBits: 24, switches: { DOMAINS: 3, DEATHS: 1, OWNER_DIES: 1 } },
  {
    // Too large to finish: what can be seen in the time, and the report says "partial".
    name: 'ring-all', bitstate: true, hashBits: 33, depth: 20_000_000, minutes: 8,
    switches: { DOMAINS: 3, HANDLES: 2, DEATHS: 2, OWNER_DIES: 1, LATE: 1 },
  },
];

for (const [name, switches] of [
  ['channel', {}],
  ['channel-sender-dies', { SENDER_DIES: 1 }],
  ['channel-receiver-dies', { RECEIVER_DIES: 1 }],
  ['channel-two-cells', { RING: 2, SLOTS: 3, MESSAGES: 5, SENDER_DIES: 1 }],
  ['channel-batch', { BATCH: 2, RING: 2, SLOTS: 2, MESSAGES: 5, SENDER_DIES: 1, RECEIVER_DIES: 1 }],
  ['channel-cork', { CORK: 1, RING: 2, SLOTS: 2 }],
  ['channel-cork-dies', { CORK: 1, RING: 2, SLOTS: 2, SENDER_DIES: 1, RECEIVER_DIES: 1 }],
]) bases.push({ name, file: 'channel.pml', quick: true, switches });
for (const [name, switches] of [
  ['join', { OWNER_DIES: 1, READER_DIES: 1, HOST_DIES: 1 }],
  ['join-rubbish', { RUBBISH: 1, HOST_DIES: 1, READER_DIES: 1 }],
  ['join-others', { OTHERS: 1, HOST_DIES: 1 }],
]) bases.push({ name, file: 'join.pml', quick: true, switches });

bases.push({ name: 'letgo', file: 'letgo.pml', quick: true, switches: {} });

const bytes = 'wrong bytes';
const message = 'lost message';
const stuck = 'stuck owner';

// Each takes one ingredient out; `in` is a base above, in which the same model without the switch holds.
const mutants = [
  { name: 'mark', switch: 'MUTANT_MARK', in: 'pair', gives: bytes },
  { name: 'scan-after-mark', switch: 'MUTANT_SCAN', in: 'pair', gives: bytes },
  { name: 'owner-fence', switch: 'MUTANT_OWNER_FENCE', in: 'pair', gives: bytes },
  { name: 'taker-fence-index', switch: 'MUTANT_TAKER_FENCE_INDEX', in: 'pair', gives: bytes },
  { name: 'taker-fence-message', switch: 'MUTANT_TAKER_FENCE_MESSAGE', in: 'pair', gives: bytes },
  { name: 're-check-index', switch: 'MUTANT_RECHECK_INDEX', in: 'pair', gives: bytes },
  { name: 're-check-message', switch: 'MUTANT_RECHECK_MESSAGE', in: 'pair', gives: bytes },
  { name: 'wait-on-revoking', switch: 'MUTANT_WAIT', in: 'pair', gives: message },
  { name: 'domain-epoch', switch: 'MUTANT_EPOCH', in: 'pair-join', gives: bytes },
  { name: 'epoch-before-grant', switch: 'MUTANT_GRANT_ORDER', in: 'pair-join', gives: bytes },
  { name: 'release-drop', switch: 'MUTANT_DROP', in: 'pair', gives: bytes },
  { name: 'in-flight-hold', switch: 'MUTANT_IN_FLIGHT', in: 'pair', gives: message },
  { name: 'consume-after-take', switch: 'MUTANT_CONSUME', in: 'pair', gives: message },
  { name: 'eof-is-not-death', switch: 'MUTANT_EOF', in: 'pair-eof', gives: bytes },
  { name: 'generation-before-bytes', switch: 'MUTANT_OVERWRITE', in: 'pair', gives: bytes },
  { name: 'dead-owner-is-even', switch: 'MUTANT_DEAD_OWNER_WAIT', in: 'pair', gives: message },
  { name: 'fence-after-publish', switch: 'MUTANT_PUBLISH_FENCE', in: 'channel', gives: message },
  { name: 'fence-after-announce', switch: 'MUTANT_ANNOUNCE_FENCE', in: 'channel', gives: message },
  { name: 'fence-after-consume', switch: 'MUTANT_CONSUME_FENCE', in: 'channel', gives: message },
  { name: 'take-before-index', switch: 'MUTANT_INDEX_FIRST', in: 'channel', gives: message },
  { name: 'in-flight-until-consumed', switch: 'MUTANT_IN_FLIGHT', in: 'channel', gives: message },
  { name: 'drain-after-death', switch: 'MUTANT_DRAIN', in: 'channel-sender-dies', gives: message },
  { name: 'batch-index-after-holds', switch: 'MUTANT_BATCH_INDEX', in: 'channel-batch', gives: message },
  { name: 'batch-ends-with-the-good', switch: 'MUTANT_BATCH_END', in: 'channel-batch', gives: message },
  { name: 'cork-rings-before-sleep', switch: 'MUTANT_CORKED_SLEEP', in: 'channel-cork', gives: message },
  { name: 'join-table-before-word', switch: 'MUTANT_WORD_FIRST', in: 'join', gives: stuck },
  { name: 'join-word-before-grant', switch: 'MUTANT_GRANT_BEFORE_WORD', in: 'join', gives: bytes },
  { name: 'join-table-before-grant', switch: 'MUTANT_GRANT_FIRST', in: 'join', gives: bytes },
  { name: 'join-word-per-owner', switch: 'MUTANT_ONE_WORD', in: 'join-others', gives: stuck },
  { name: 'join-rubbish-counts', switch: 'MUTANT_RUBBISH', in: 'join-rubbish', gives: stuck },
  { name: 'join-word', switch: 'MUTANT_EPOCH', in: 'join', gives: bytes },
  { name: 'join-word-after-mark', switch: 'MUTANT_EPOCH_FIRST', in: 'join', gives: bytes },
  { name: 'join-socket-outlives-host', switch: 'MUTANT_TRUST_AFTER_HOST', in: 'join', gives: bytes },
  { name: 'join-last-words', switch: 'MUTANT_LAST_WORDS', in: 'join', gives: message },
  { name: 'join-known-before-named', switch: 'MUTANT_PUBLISH', in: 'join', gives: message },
  { name: 'join-kept-after-death', switch: 'MUTANT_DROP_AT_DEATH', in: 'join', gives: message },
  { name: 'letgo-waits-for-grants', switch: 'MUTANT_LETGO', in: 'letgo', gives: message },
  { name: 'dead-owner-read-again', switch: 'MUTANT_DEAD_OWNER_REREAD', in: 'pair', gives: bytes },
];

// States without which a passing base would say little.
const reaches = [
  { name: 'freed-after-death', switch: 'REACH_FREED_AFTER_DEATH', in: 'pair' },
  { name: 'taken-from-dead-sender', switch: 'REACH_FROM_DEAD', in: 'pair' },
  { name: 'waited-then-taken', switch: 'REACH_WAITED', in: 'pair' },
  { name: 'stale', switch: 'REACH_STALE', in: 'pair' },
  { name: 'came-back-to-sender', switch: 'REACH_CAME_BACK', in: 'pair' },
  { name: 'restored', switch: 'REACH_RESTORED', in: 'pair' },
  { name: 'miss-at-second-look', switch: 'REACH_MISS', in: 'pair' },
  { name: 'dead-owner-revoking', switch: 'REACH_DEAD_OWNER', in: 'pair' },
  { name: 'sender-sleeps', switch: 'REACH_SENDER_SLEEPS', in: 'channel' },
  { name: 'receiver-sleeps', switch: 'REACH_RECEIVER_SLEEPS', in: 'channel' },
  { name: 'still-held-when-freed', switch: 'REACH_RESTORED', in: 'channel' },
  { name: 'drained-after-death', switch: 'REACH_DRAINED', in: 'channel-sender-dies' },
  { name: 'two-in-a-batch', switch: 'REACH_BATCH', in: 'channel-batch' },
  { name: 'one-ring-for-two', switch: 'REACH_ONE_RING', in: 'channel-cork' },
  { name: 'join-unknown-reader', switch: 'REACH_UNKNOWN', in: 'join' },
  { name: 'join-held-at-free', switch: 'REACH_HELD', in: 'join' },
  { name: 'join-grant-after-death', switch: 'REACH_GRANT_AFTER_DEATH', in: 'join' },
  { name: 'join-forwarded-by-the-dead', switch: 'REACH_FORWARDED', in: 'join' },
  { name: 'letgo-dropped', switch: 'REACH_DROPPED', in: 'letgo' },
  { name: 'letgo-granted-again', switch: 'REACH_AGAIN', in: 'letgo' },
  { name: 'joined-between-mark-and-scan', switch: 'REACH_JOINED_BETWEEN', in: 'pair-join' },
  { name: 'unknown-joiner-holds', switch: 'REACH_JOINER_HOLDS', in: 'pair-join' },
];

const help = `usage: node scripts/run-model.mjs [--quick] [--only NAME]... [--trail NAME] [--help]

Checks test/model/holds.pml, channel.pml, join.pml and letgo.pml with Spin. Prints one line each:
  holds: BASE NAME ...     every reachable state was visited (bitstate: nearly, partial: as many
                           as the time allowed), none is bad
  reached: NAME            an interesting state is reachable (else: UNREACHED)
  caught: NAME             the protocol without this ingredient fails (else: MISSED)

  --quick        small configurations only (continuous integration)
  --only NAME    this base, reach or mutant, and the bases that it stands on
  --trail NAME   print the shortest way to a mutant's failure or to a reach
Exit status: 0 all as it should be, 1 something is not, 2 cannot run.

names: ${[...bases, ...reaches, ...mutants].map((job) => job.name).join(' ')}
`;

function fail(text) {
  process.stderr.write(`run-model: ${text}\n`);
  process.exit(2);
}

function readOptions() {
  try {
    return parseArgs({
      options: {
        quick: { type: 'boolean', default: false },
        only: { type: 'string', multiple: true, default: [] },
        trail: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    return fail(`${error.message}\n\n${help}`);
  }
}

function exists(program, argument) {
  return spawnSync(program, [argument], { stdio: 'ignore' }).error === undefined;
}

function findTools() {
  if (!exists('spin', '-V')) fail('needs the model checker Spin: Debian package "spin" (apt-get install spin)');
  const compiler = [process.env.CC, 'gcc', 'cc', 'clang'].find((name) => name && exists(name, '--version'));
  if (compiler === undefined) fail('needs a C compiler: Debian package "gcc" (apt-get install gcc)');
  return compiler;
}

const children = new Set();
let scratch;

function cleanUp() {
  for (const child of children) child.kill('SIGKILL');
  if (scratch !== undefined) rmSync(scratch, { recursive: true, force: true });
}

function run(program, args, cwd, onText) {
  return new Promise((resolve, reject) => {
    let output = '';
    const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    children.add(child);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (text) => {
        output += text;
        onText?.(text);
      });
    }
    child.on('error', reject);
    child.on('close', (status, signal) => {
      children.delete(child);
      resolve({ status, signal, output });
    });
  });
}

function progress(text) {
  if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${text}`);
}

function say(text) {
  progress('');
  process.stdout.write(`${text}\n`);
}

const fileOf = (job, byName) => byName.get(job.in ?? job.name).file ?? 'holds.pml';

function defines(job, byName) {
  const base = job.in === undefined ? job : byName.get(job.in);
  const list = Object.entries(base.switches).map(([name, value]) => `-D${name}=${value}`);
  if (job.switch?.startsWith('REACH')) list.push('-DREACH');
  if (job.switch !== undefined) list.push(`-D${job.switch}`);
  if (job.gives === bytes) list.push('-DCHECK_BYTES');
  if (job.gives === message) list.push('-DCHECK_MESSAGES');
  if (job.gives === stuck) list.push('-DCHECK_STUCK');
  return list;
}

// Generates, compiles and runs the checker for one job, in a directory of its own.
async function check(job, byName, compiler, { memoryMiB, shortest = false }) {
  const directory = join(scratch, job.name);
  mkdirSync(directory, { recursive: true });
  const file = fileOf(job, byName);
  copyFileSync(modelFile(file), join(directory, file));
  const switches = defines(job, byName);
  progress(`${job.name}: compiling`);
  const generated = await run('spin', [`-P${compiler} -E -x c`, ...switches, '-a', file], directory);
  if (generated.status !== 0) throw new Error(`spin ${switches.join(' ')}: ${generated.output}`);
  const small = job.in !== undefined;
  const compiled = await run(compiler, [
    small ? '-O0' : '-O2', '-w', '-DSAFETY', '-DNOREDUCE', `-DMEMLIM=${memoryMiB}`,
    job.bitstate ? '-DBITSTATE' : '-DCOLLAPSE', ...(shortest ? ['-DBFS'] : []), '-o', 'pan', 'pan.c',
  ], directory);
  if (compiled.status !== 0) throw new Error(`${compiler}: ${compiled.output}`);
  const started = process.hrtime.bigint();
  const depth = small ? 1_000_000 : (job.depth ?? 3_000_000);
  const panArgs = [`-m${depth}`, `-w${job.hashBits ?? (small ? 20 : 22)}`];
  if (job.bitstate) panArgs.push('-k3', `-Q${job.minutes}`);
  const { output } = await run('./pan', panArgs, directory, (text) => {
    const states = /States=\s*([\d.e+]+)/.exec(text)?.[1];
    progress(`${job.name}: checking${states === undefined ? '' : `, ${Number(states) / 1e6} million states`}`);
  });
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  return { ...readResult(output), seconds, directory, switches };
}

function readResult(output) {
  const number = (pattern) => Number(pattern.exec(output)?.[1] ?? NaN);
  return {
    output,
    states: number(/([\d.e+]+) states, stored/),
    depth: number(/depth reached (\d+)/),
    errors: number(/errors: (\d+)/),
    memoryMiB: number(/([\d.]+)\s+total actual memory usage/),
    violation: /assertion violated\s+!\(+([a-z_.]+)\)/.exec(output)?.[1]?.replace('now.', ''),
    steps: number(/\(at depth (\d+)\)/),
    incomplete: /max search depth too small|MEMLIM|out of memory|Search not completed/i.exec(output)?.[0],
    outOfTime: /Time limit of .* exceeded/.test(output),
  };
}

const size = (result) =>
  `states=${result.states} depth=${result.depth} memory=${Math.round(result.memoryMiB)}MiB seconds=${result.seconds.toFixed(1)}`;

function reportBase(job, result) {
  const good = result.errors === 0 && (result.incomplete === undefined || result.outOfTime);
  const kind = `${job.bitstate ? ' bitstate' : ''}${result.outOfTime ? ' partial' : ''}`;
  say(`${good ? 'holds' : 'FAILS'}: BASE ${job.name}${kind} ${size(result)} errors=${result.errors}` +
    `${good ? '' : ` (${result.violation ?? result.incomplete ?? 'no result'})`}  ${result.switches.join(' ')}`);
  return good;
}

function reportMutant(job, result) {
  const expected = { [bytes]: 'wrong_bytes', [message]: 'lost_message', [stuck]: 'stuck' }[job.gives];
  const good = result.violation === expected;
  say(good
    ? `caught: ${job.name.padEnd(24)} ${job.gives} after ${result.steps} steps, in ${job.in}`
    : `MISSED: ${job.name.padEnd(24)} wanted ${job.gives}, in ${job.in} (${result.incomplete ?? `errors=${result.errors}`})`);
  return good;
}

function reportReach(job, result) {
  const good = result.violation === 'reached';
  say(`${good ? 'reached' : 'UNREACHED'}: ${job.name.padEnd(29)} in ${job.in}`);
  return good;
}

function select(options) {
  const all = [...bases, ...reaches, ...mutants];
  const byName = new Map(all.map((job) => [job.name, job]));
  for (const name of [...options.only, ...(options.trail === undefined ? [] : [options.trail])]) {
    if (!byName.has(name)) fail(`no base, reach or mutant is named "${name}"\n\n${help}`);
  }
  const wanted = new Set(options.only);
  for (const name of options.only) if (byName.get(name).in !== undefined) wanted.add(byName.get(name).in);
  const chosen = (job) => (wanted.size > 0 ? wanted.has(job.name) : !options.quick || job.quick !== false);
  return {
    byName,
    jobs: [
      ...bases.filter((job) => chosen(job) && (wanted.size > 0 || !options.quick || job.quick)).map((job) => [job, reportBase]),
      ...reaches.filter(chosen).map((job) => [job, reportReach]),
      ...mutants.filter(chosen).map((job) => [job, reportMutant]),
    ],
  };
}

async function printTrail(name, byName, compiler) {
  const job = byName.get(name);
  const result = await check(job, byName, compiler, { memoryMiB: fullMemoryMiB, shortest: true });
  if (result.violation === undefined) return say(`${name}: no failure`);
  const replay = await run('spin', [`-P${compiler} -E -x c`, ...result.switches, '-t', '-p', fileOf(job, byName)], result.directory);
  const noise = /\[(IF|DO|sub-sequence|break|else|\.\(goto\))\]|is newer than|Starting/;
  say(replay.output.split('\n').filter((line) => !noise.test(line)).join('\n'));
}

async function main() {
  const options = readOptions();
  if (options.help) return void process.stdout.write(help);
  const { jobs, byName } = select(options);
  const compiler = findTools();
  scratch = mkdtempSync(join(tmpdir(), 'iol-model-'));
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => {
      cleanUp();
      process.exit(signal === 'SIGINT' ? 130 : 143);
    });
  }
  try {
    if (options.trail !== undefined) return await printTrail(options.trail, byName, compiler);
    const memoryMiB = options.quick ? quickMemoryMiB : fullMemoryMiB;
    const started = Date.now();
    const bad = [];
    const queue = [...jobs];
    const worker = async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const [job, report] = next;
        const result = await check(job, byName, compiler, { memoryMiB });
        if (!report(job, result)) bad.push(job.name);
        rmSync(result.directory, { recursive: true, force: true });
      }
    };
    // Only small configurations have room beside each other.
    const workers = options.quick ? availableParallelism() : 1;
    await Promise.all(Array.from({ length: workers }, worker));
    const count = (report) => jobs.filter(([job, r]) => r === report && !bad.includes(job.name)).length;
    say(`model: ${count(reportBase)} configurations hold, ${count(reportReach)} states reached, ` +
      `${count(reportMutant)} mutants caught, ${bad.length} failed, ${Math.round((Date.now() - started) / 1000)} s`);
    if (bad.length > 0) process.exitCode = 1;
  } finally {
    cleanUp();
  }
}

await main().catch((error) => {
  process.stderr.write(`run-model: ${error.message}\n`);
  process.exitCode = 2;
});
