/**
 * What every class here is that owns something: a handle into the addon, given back once.
 */
import { inspect, type InspectOptions } from 'node:util';

import { closedError } from './errors';
import {
  noteNewTurn, onWindowClosed, siteOfNew, track, untrack, type Kind, type Site,
} from './leaks';
import { invalidType } from './validate';
import './window/immutable';

/**
 * Own, enumerable and a function: structuredClone and postMessage refuse an object that has one,
 * on every Node version, and name it by its source. Without it they would make an empty object.
 */
// prettier-ignore
const refuseClone = function objectsOfIoLiteCannotBeCloned_sendTheirBytesInstead() {};

/** Who gives a resource back that was forgotten. */
enum Net { None, Nursery, Registry }

/**
 * The nursery: new resources, which are put into the leak detector's registry only when it is full, or
 * at the next turn of the loop. Most are released before that, and cost no registration, which takes
 * longer than making and releasing them. In here they cannot be collected.
 */
const nurseryMax = 256;
const nursery = new Array<Resource | undefined>(nurseryMax).fill(undefined);
const sites = new Array<Site | undefined>(nurseryMax).fill(undefined);
let nurserySize = 0;
let isDrainDue = false;
let drain: () => void;

function enterNursery(resource: Resource): void {
  if (nurserySize === nurseryMax) drain();
  const site = siteOfNew();
  if (site !== undefined) sites[nurserySize] = site;
  nursery[nurserySize++] = resource;
  if (!isDrainDue) drainNextTurn();
}

function drainNextTurn(): void {
  isDrainDue = true;
  setImmediate(() => {
    isDrainDue = false;
    noteNewTurn();
    drain();
  }).unref();
}

/** Only from the top: what is released first was often made last. The others wait for the drain. */
function leaveNursery(resource: Resource): void {
  if (nurserySize === 0 || nursery[nurserySize - 1] !== resource) return;
  nursery[--nurserySize] = undefined;
  if (sites[nurserySize] !== undefined) sites[nurserySize] = undefined;
}

/** Counts the windows that this thread has closed: with each of them its resources were released. */
let windowsClosed = 0;

onWindowClosed(() => {
  windowsClosed++;
  nursery.fill(undefined);
  sites.fill(undefined);
  nurserySize = 0;
});

/** The live handle of a resource; throws ERR_IOL_CLOSED after its release. */
export let handleOf: (resource: Resource) => number;

/**
 * Base of all classes that own something. `dispose()` (and `using`) gives it back; twice is allowed,
 * any other call afterwards throws `ERR_IOL_CLOSED`.
 */
export abstract class Resource implements Disposable {
  // Why no #names, here and in the classes of bytes: those of a base class, set for more than four
  // kinds of objects, cost some 50 ns each, which is more than all else of a new object.
  private handle: number;
  private readonly kind: Kind;
  private readonly windowsClosed: number;
  private net: Net;
  /** @internal */
  readonly cannotBeCloned: typeof refuseClone;

  static {
    handleOf = (resource) => {
      const { handle } = resource;
      if (handle === 0 || resource.windowsClosed !== windowsClosed) throw notLive(resource);
      return handle;
    };
    const notLive = (resource: Resource): Error => {
      if (typeof resource.handle === 'number') return closedError(resource.kind.subject);
      return invalidType('this', 'an object of io-lite', resource);
    };
    drain = () => {
      for (let i = 0; i < nurserySize; i++) {
        const resource = nursery[i]!;
        const site = sites[i];
        nursery[i] = undefined;
        sites[i] = undefined;
        if (resource.isDisposed) continue;
        resource.net = Net.Registry;
        track(resource, resource.kind, resource.handle, site);
      }
      nurserySize = 0;
    };
  }

  /** @internal */
  protected constructor(kind: Kind, handle: number, isTracked: boolean) {
    this.cannotBeCloned = refuseClone; // First: it is what a clone must stumble over.
    this.handle = handle;
    this.kind = kind;
    this.windowsClosed = windowsClosed;
    this.net = isTracked ? Net.Nursery : Net.None;
    if (isTracked) enterNursery(this);
  }

  private removeNet(): void {
    if (this.net === Net.Nursery) leaveNursery(this);
    else if (this.net === Net.Registry) untrack(this);
  }

  /** Whether it was released, by itself or with its window. */
  get isDisposed(): boolean {
    return this.handle === 0 || this.windowsClosed !== windowsClosed;
  }

  /** Gives back what this owns. Idempotent; never throws. */
  dispose(): void {
    const { handle } = this;
    if (handle === 0 || this.windowsClosed !== windowsClosed) return;
    this.handle = 0;
    this.removeNet();
    this.kind.release(handle);
  }

  /** The same as {@link dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Ends this object without giving anything back: somebody else has taken the handle over. */
  protected forget(): void {
    this.handle = 0;
    this.removeNet();
  }

  /** What `inspect` shows inside the braces. */
  protected inspectFields(): Record<string, unknown> {
    return {};
  }

  /** @internal What `console.log` shows; never throws. */
  [inspect.custom](depth: number, options: InspectOptions): string {
    const name = this.constructor.name;
    if (this.isDisposed) return `${name} <released>`;
    return `${name} ${inspect(this.inspectFields(), { ...options, depth })}`;
  }
}
