// A Node participant of the torture: producer, consumer and forwarder by the public API, beside
// those of test/torture/native/participant.cc, and held to the same promises. Killed at any instant.
import { readdirSync } from 'node:fs';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';

import { Aggregate, isIolError, stats, Window } from 'io-lite';

import {
  bufferBytesMax, bytesOf, checkPayload, contentsOf, metadataOf, partsMax, strideBytes, strideLength,
  strides,
} from './payload.mjs';
import {
  boardRead, domainAt, hostAddress, ourSeat, phases, publishDomain, Record, seatAdd, seatRead, seatSay,
  seatsMax, seatWrite, seed, states, takeRecords,
} from './scoreboard.mjs';

const tickMs = 3;
const linesWanted = 4;
const hopsMax = 4;
const heldMax = 100;
const answerMsMax = 5000;
const uid = seatRead('uid');

let random = seed;
/** mulberry32 */
function below(limit) {
  random = (random + 0x6d2b79f5) | 0;
  let word = Math.imul(random ^ (random >>> 15), 1 | random);
  word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word;
  return ((word ^ (word >>> 14)) >>> 0) % limit;
}
const oneIn = (n) => below(n) === 0;
const openingFailures = new Set([
  'ERR_IOL_NO_DOMAIN', 'ERR_IOL_REFUSED', 'ERR_IOL_BUSY', 'ERR_IOL_HOST_GONE', 'ERR_IOL_CLOSED',
  'ERR_IOL_PEER_DEAD', 'ERR_IOL_WOULD_BLOCK',
]);
const shortages = new Set(['ERR_IOL_POOL_FULL', 'ERR_IOL_WINDOW_FULL', 'ERR_IOL_NO_MEMORY']);
const codeOf = (error) => (isIolError(error) ? error.code : undefined);

let window;
let windowSeen = 0;
let pools = [];
let serial = 0;
let isLeaving = false;
let leaveAt = Infinity;
/** What is wrong, unless the host is dead and we have not read it yet. */
let suspicion = '';
const lines = new Set();
const openings = new Set();
let held = [];

function complain(error) {
  const text = `${error?.stack ?? error}`.replaceAll('\n', ' ');
  seatSay('complaint', text.replaceAll(new URL('.', import.meta.url).href, ''));
  seatWrite('state', states.failed);
  process.exit(3);
}
process.on('uncaughtException', complain);
process.on('unhandledRejection', complain);

/** False: there is nothing more to attach to. */
async function attach() {
  for (;; await sleep(tickMs)) {
    if (boardRead('phase') === phases.leave) return false;
    const windows = boardRead('windowsMade');
    const isAlive = boardRead('isHostAlive') !== 0;
    const address = hostAddress();
    if (windows === 0 || !isAlive || boardRead('windowsMade') !== windows) continue;
    windowSeen = windows;
    try {
      const maxBytes = 256 << 20;
      window = await Window.attach({ address, label: 'node', maxBytes, timeoutMs: 10_000 });
      break;
    } catch (error) {
      // The host may have been killed meanwhile, and the controller not yet know it.
      for (let wait = 0; wait < 100 && boardRead('isHostAlive') !== 0; wait++) await sleep(20);
      if (boardRead('isHostAlive') !== 0 && boardRead('windowsMade') === windowSeen) throw error;
    }
  }
  pools = [false, true].map((sealed) =>
    window.createPool({ maxBytes: 24 << 20, idleBytesMax: 2 << 20, sealed }));
  window.on('hostGone', (error) => {
    if (error !== undefined) complain(error);
    seatWrite('state', states.alone);
  });
  window.on('channel', (channel) => addLine(channel, false));
  isLeaving = false;
  leaveAt = oneIn(2) ? performance.now() + 200 + below(1500) : Infinity;
  publishDomain(window);
  seatWrite('state', states.attached);
  return true;
}

function addLine(channel, isOurs) {
  const index = Number(channel.name);
  const line = {
    channel,
    outIndex: index + (isOurs ? 0 : 1),
    out: new Record(index + (isOurs ? 0 : 1)),
    in: new Record(index + (isOurs ? 1 : 0)),
    nextOut: 0,
    nextIn: 0,
    canSend: true,
  };
  lines.add(line);
  seatAdd('opened');
  void receiveFrom(line);
}

function closeLine(line) {
  lines.delete(line);
  line.channel.close();
  seatAdd('closed');
}

async function open() {
  const candidates = [];
  for (let seat = 1; seat < seatsMax; seat++) {
    const domain = seat === ourSeat ? undefined : domainAt(seat);
    if (domain?.windowId === window.id) candidates.push({ seat, domain });
  }
  if (candidates.length === 0) return;
  const { seat, domain } = candidates[below(candidates.length)];
  const index = takeRecords(seat);
  if (index === undefined) return;
  const opening = { since: performance.now(), window };
  openings.add(opening);
  try {
    addLine(await window.connect(domain, { name: `${index}`, ringBytes: 4096 << below(5) }), true);
  } catch (error) {
    seatAdd('refused');
    if (!openingFailures.has(codeOf(error))) complain(error);
  } finally {
    openings.delete(opening);
  }
}

async function receiveFrom(line) {
  while (lines.has(line)) {
    let message;
    try {
      message = await line.channel.receive();
    } catch (error) {
      if (codeOf(error) === 'ERR_IOL_PEER_DEAD') return onEnd(line, true);
      if (codeOf(error) !== 'ERR_IOL_STALE') complain(error);
      onStale(line);
      continue;
    }
    if (message === null) return lines.has(line) ? onEnd(line, false) : undefined;
    onMessage(line, message);
  }
}

function onMessage(line, { aggregate, metadata }) {
  const contents = contentsOf(metadata);
  if (!line.in.isSame(contents.record)) complain(`a message of another channel, ${contents.record}`);
  if (contents.number !== line.nextIn) complain(`message ${contents.number} where ${line.nextIn} was due`);
  line.in.write('taken', ++line.nextIn);
  checkPayload(aggregate, contents, 'received');
  seatAdd('received');
  const isRunning = boardRead('phase') === phases.run && !isLeaving;
  if (isRunning && contents.hops < hopsMax && oneIn(3)) forward(aggregate, contents);
  if (isRunning && held.length < heldMax && oneIn(3)) {
    held.push({ aggregate, contents, until: performance.now() + below(200) });
  } else {
    aggregate.dispose();
  }
}

/** Only a name of somebody else's buffer can be stale. */
function onStale(line) {
  line.in.write('taken', ++line.nextIn);
  seatAdd('stale');
  if (window.isAttached && line.in.read32('hasForeign') === 0) {
    suspicion = 'stale, though its sender made it itself';
  }
}

function onEnd(line, isDead) {
  const sent = line.in.read('sent');
  const most = isDead ? line.in.read('intended') : sent;
  if (line.nextIn < sent || line.nextIn > most) {
    complain(`${isDead ? 'peer dead' : 'closed'}: got ${line.nextIn} messages of ${sent} to ${most}`);
  }
  closeLine(line);
}

/** Checked again: nobody may have touched it meanwhile. */
function dropHeld(all) {
  const now = performance.now();
  held = held.filter(({ aggregate, contents, until }) => {
    if (!all && until > now) return true;
    checkPayload(aggregate, contents, 'while it was held');
    aggregate.dispose();
    return false;
  });
}

/** A buffer of our own at the end of both; false when there is no room. */
function addBuffer(aggregate, parts, length) {
  const low = serial++;
  try {
    if (oneIn(4)) {
      aggregate.append(bytesOf(uid, low, 0, length));
    } else {
      const draft = pools[oneIn(4) ? 1 : 0].allocate(length);
      new Uint8Array(draft.bytes()).set(bytesOf(uid, low, 0, length));
      const buffer = draft.seal();
      aggregate.append(buffer);
      buffer.dispose();
    }
  } catch (error) {
    if (!shortages.has(codeOf(error))) throw error;
    return false;
  }
  parts.push({ high: uid, low, offset: 0, length });
  return true;
}

function anyLength() {
  if (oneIn(20)) return 1 + below(bufferBytesMax);
  return 1 + below(oneIn(6) ? 65_536 : 4096);
}

function sendFresh(line) {
  const aggregate = Aggregate.empty();
  const contents = { hops: 0, strides: 0, parts: [] };
  const isStrided = oneIn(25);
  let isWhole = true;
  if (isStrided) {
    isWhole = addBuffer(aggregate, contents.parts, strides * strideBytes);
    if (isWhole) {
      contents.strides = 65 + below(200);
      const whole = aggregate.clone();
      for (let index = 0; index < contents.strides; index++) {
        const at = index % strides * strideBytes;
        const part = whole.slice(at, at + strideLength);
        aggregate.append(part);
        part.dispose();
      }
      whole.dispose();
    }
  } else if (!oneIn(100)) {
    for (let count = oneIn(4) ? 2 + below(6) : 1; count > 0 && isWhole; count--) {
      isWhole = addBuffer(aggregate, contents.parts, anyLength());
    }
  }
  const isSent = isWhole && send(line, aggregate, contents, false);
  // The same sealed bytes again, and some to keep while others have them.
  if (isSent && oneIn(8)) send(line, aggregate, contents, false);
  if (isSent && oneIn(16) && held.length < heldMax) {
    held.push({ aggregate, contents, until: performance.now() + below(100) });
  } else {
    aggregate.dispose();
  }
  return isSent;
}

/** Of others' buffers, whole or in part, with or without one of our own in front. */
function forward(aggregate, { hops, strides: slices, parts }) {
  const line = anyLine();
  if (line === undefined) return;
  const out = Aggregate.empty();
  const contents = { hops: hops + 1, strides: slices, parts: [] };
  let rest = parts;
  let skipped = 0;
  if (slices === 0) {
    if (parts.length < partsMax && oneIn(2) && !addBuffer(out, contents.parts, 1 + below(500))) {
      return out.dispose();
    }
    const [first] = parts;
    if (first !== undefined && first.length > 16 && oneIn(3)) {
      skipped = 1 + below(first.length - 1);
      const { offset, length } = first;
      rest = [{ ...first, offset: offset + skipped, length: length - skipped }, ...parts.slice(1)];
    }
  }
  contents.parts.push(...rest);
  const theirs = aggregate.slice(skipped);
  out.append(theirs);
  theirs.dispose();
  if (send(line, out, contents, true)) seatAdd('forwarded');
  out.dispose();
}

function anyLine() {
  const line = [...lines][below(Math.max(lines.size, 1))];
  return line?.canSend ? line : undefined;
}

function send(line, aggregate, contents, isForeign) {
  if (!line.canSend || !lines.has(line)) return false;
  const metadata = metadataOf({ ...contents, record: line.outIndex, number: line.nextOut });
  if (isForeign) line.out.write32('hasForeign', 1);
  line.out.write('intended', line.nextOut + 1);
  let isSent = false;
  try {
    isSent = line.channel.trySend(aggregate, metadata);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ERR_IOL_PEER_DEAD' || code === 'ERR_IOL_CLOSED') line.canSend = false;
    else if (code !== 'ERR_IOL_WOULD_BLOCK' && !shortages.has(code)) throw error;
  }
  if (isSent) {
    line.out.write('sent', ++line.nextOut);
    seatAdd('sent');
  } else {
    line.out.write('intended', line.nextOut);
  }
  return isSent;
}

function work() {
  for (const { since, window: of } of openings) {
    if (of === window && window.isAttached && performance.now() - since > answerMsMax) {
      complain(`an opening was not answered in ${answerMsMax} ms`);
    }
  }
  if (window.isAttached && lines.size + openings.size < linesWanted && oneIn(4)) void open();
  if (oneIn(100) && lines.size > 0) closeLine([...lines][below(lines.size)]);
  for (let batch = below(3); batch > 0; batch--) {
    const line = anyLine();
    for (let count = 1 + below(8); count > 0 && line !== undefined && sendFresh(line); count--);
  }
}

function whatIsLeft() {
  // Looks for what others have let go of; a pool does so by itself when it is asked for more.
  for (const pool of [window.defaultPool, ...pools]) pool.trim();
  const { liveHolds, pools: all } = stats();
  const kept = all.filter(({ buffers, drafts, pending }) => buffers + drafts + pending > 0)
    .map(({ name, buffers, drafts, pending }) => `${name} ${buffers}+${drafts}+${pending}`);
  const left = [...kept];
  if (liveHolds > 0) left.unshift(`${liveHolds} holds`);
  if (openings.size > 0) left.push(`${openings.size} openings`);
  return left.join(', ');
}

/** In a quiet round: says so once nothing of anybody is held, and nothing of ours. */
function accountFor() {
  const left = whatIsLeft();
  seatSay('doing', left);
  seatWrite('channels', lines.size);
  seatWrite('held', held.length);
  if (left !== '') return;
  const round = boardRead('round');
  if (seatRead('round') === round) return;
  seatWrite('descriptors', readdirSync('/proc/self/fd').length);
  seatWrite('state', states.quiet);
  seatWrite('round', round);
}

/** In order: everything sent is received, nothing is held. False: others still hold what is ours. */
async function leave(msMax) {
  isLeaving = true;
  publishDomain(undefined);
  window.removeAllListeners('channel');
  dropHeld(true);
  const deadline = performance.now() + msMax;
  do {
    for (const line of lines) closeLine(line);
    if (performance.now() > deadline) return false;
    await sleep(2);
  } while (whatIsLeft() !== '' || lines.size > 0);
  window.close();
  window = undefined;
  return true;
}

/** True: attach again. */
async function takePart() {
  for (;; await sleep(tickMs)) {
    if (suspicion !== '') {
      // Its death may show in a failed request for memory before the loop reads that it is gone.
      const suspected = suspicion;
      suspicion = '';
      for (let turns = 0; turns < 4 && window.isAttached; turns++) await turn();
      if (window.isAttached) complain(suspected);
    }
    const phase = boardRead('phase');
    if (phase === phases.leave) {
      if (!await leave(8000)) complain(`cannot leave: ${whatIsLeft()}`);
      seatWrite('state', states.left);
      return false;
    }
    if (!window.isAttached && boardRead('windowsMade') !== windowSeen) {
      if (!await leave(8000)) complain(`cannot stand up: ${whatIsLeft()}`);
      return true;
    }
    dropHeld(phase === phases.quiet);
    if (phase === phases.quiet) {
      accountFor();
      continue;
    }
    if (seatRead('state') === states.quiet) {
      seatWrite('state', window.isAttached ? states.attached : states.alone);
    }
    if (performance.now() > leaveAt) {
      // Others may be stopped with what is ours: then we leave as the dead do.
      if (!await leave(2000)) process.exit(0);
      return true;
    }
    work();
    seatWrite('channels', lines.size);
    seatWrite('held', held.length);
  }
}

while (await attach() && await takePart()) seatWrite('state', states.starting);
process.exit(0);
