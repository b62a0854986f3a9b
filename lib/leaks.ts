/**
 * The net under forgotten resources: what is collected unreleased is given back, and reported with
 * the place where it was made.
 */
import { validateOneOf } from './validate';

/** One kind of resource: what errors call it, and how a handle is given back. */
export interface Kind {
  readonly subject: string;
  release(handle: number): void;
}

/**
 * `off`: given back, not reported. `simple`: one in 128 remembers where it was made, and fewer of the
 * thousands that one turn of the loop makes. `paranoid`: every one does, which costs some microseconds
 * each.
 */
export type LeakDetection = 'off' | 'simple' | 'paranoid';

const levels = ['off', 'simple', 'paranoid'] as const;
const sampleEvery = 128;
/** So many of one turn of the loop remember it as often as that, then each waits twice as long. */
const samplesOften = 16;

/** What is left of a resource when it was collected. Most remember no site and share none. */
interface Trace {
  kind: Kind;
  handle: number;
  site: string | undefined;
}

let level: LeakDetection = 'simple';
let untilSample = sampleEvery;
let samplesOfTurn = 0;
let leaked = 0;
let hintWasGiven = false;
let registry = new FinalizationRegistry<Trace>(onCollected);

const fromEnvironment = process.env['IOL_LEAKS'];
if (fromEnvironment !== undefined) setLeakDetection(fromEnvironment as LeakDetection);

/** Sets the level for what is made from now on; the environment variable `IOL_LEAKS` does, too. */
export function setLeakDetection(newLevel: LeakDetection): void {
  validateOneOf(newLevel, 'level', levels);
  level = newLevel;
}

/** Resources that were collected unreleased so far. */
export function leakCount(): number {
  return leaked;
}

/**
 * A place in the program as V8 has recorded it. Making text of it costs ten times as much, and is left
 * until it is known that the resource lives for a while: the record keeps what the calls were made on.
 */
export type Site = { readonly stack?: string };

/** Where a resource is being made, if it is one of those that remember it. */
export function siteOfNew(): Site | undefined {
  if (level === 'off') return undefined;
  if (level === 'simple') {
    if (--untilSample > 0) return undefined;
    const doublings = Math.max(0, ++samplesOfTurn - samplesOften);
    untilSample = sampleEvery * 2 ** Math.min(doublings, 20);
  }
  const site: Site = {};
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 16;
  Error.captureStackTrace(site, siteOfNew);
  Error.stackTraceLimit = limit;
  return site;
}

/** The loop has turned. */
export function noteNewTurn(): void {
  samplesOfTurn = 0;
  if (untilSample > sampleEvery) untilSample = sampleEvery;
}

/** The part of a place that is the program's own. */
function textOf(site: Site): string {
  const lines = (site.stack ?? '').split('\n').slice(1);
  const outside = lines.findIndex((line) => !line.includes(__dirname));
  return lines.slice(outside < 0 ? 0 : outside).join('\n');
}

/** Puts the net under a resource. */
export function track(
  resource: object,
  kind: Kind,
  handle: number,
  site: Site | undefined,
): void {
  const text = site === undefined ? undefined : textOf(site);
  registry.register(resource, { kind, handle, site: text }, resource);
}

/** Takes it away: the resource was released properly. */
export function untrack(resource: object): void {
  registry.unregister(resource);
}

const closeHooks: (() => void)[] = [];

/** Runs when the window is closed, which ends every handle. */
export function onWindowClosed(hook: () => void): void {
  closeHooks.push(hook);
}

/** Forgets all: the window was closed, and their handles are gone with it. */
export function forgetAll(): void {
  registry = new FinalizationRegistry<Trace>(onCollected);
  for (const hook of closeHooks) hook();
}

function onCollected({ kind, handle, site }: Trace): void {
  leaked++;
  try {
    kind.release(handle);
  } catch {
    // Nobody is there to be told; the environment may be ending.
  }
  if (level === 'off') return;
  if (site !== undefined) {
    noteAt(kind, site);
  } else if (!hintWasGiven) {
    hintWasGiven = true;
    warn(`${sentenceOf(kind, 1)} Run with IOL_LEAKS=paranoid to see where such objects are made.`);
  }
}

/** A place whose objects were forgotten: how many, and how many it takes until that is said (again). */
interface Place {
  readonly kind: Kind;
  readonly site: string;
  count: number;
  nextReport: number;
}

const placesMax = 1000;
const places = new Map<string, Place>();
let isReportDue = false;

/** Many objects of one place are one warning, and one more for each ten times as many. */
function noteAt(kind: Kind, site: string): void {
  const key = `${kind.subject}\n${site}`;
  let place = places.get(key);
  if (place === undefined) {
    if (places.size === placesMax) places.clear();
    places.set(key, (place = { kind, site, count: 0, nextReport: 1 }));
  }
  if (++place.count < place.nextReport || isReportDue) return;
  isReportDue = true;
  // Why later: the collector brings one object after the other.
  process.nextTick(report);
}

function report(): void {
  isReportDue = false;
  for (const place of places.values()) {
    const { kind, site, count, nextReport } = place;
    if (count < nextReport) continue;
    while (place.nextReport <= count) place.nextReport *= 10;
    warn(`${sentenceOf(kind, count)} ${count === 1 ? 'It was' : 'They were'} made here:\n${site}`);
  }
}

function sentenceOf({ subject }: Kind, count: number): string {
  if (count > 1) return `${count} objects (${subject}) were not released before they were collected.`;
  const article = /^[aeiou]/.test(subject) ? 'An' : 'A';
  return `${article} ${subject} was not released before it was collected.`;
}

function warn(message: string): void {
  process.emitWarning(message, { type: 'IolWarning', code: 'IOL_LEAK' });
}
