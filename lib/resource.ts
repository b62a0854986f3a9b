/**
 * What every class here is that owns something: a handle into the addon, given back once.
 */
import { inspect, type InspectOptions } from 'node:util';

import { closedError } from './errors';
import './immutable';
import { track, untrack, type Kind } from './leaks';

/**
 * Own, enumerable and a function: structuredClone and postMessage refuse an object that has one,
 * on every Node version, and name it by its source. Without it they would make an empty object.
 */
// prettier-ignore
const refuseClone = function objectsOfIoLiteCannotBeCloned_sendTheirBytesInstead() {};

/** The live handle of a resource; throws ERR_IOL_CLOSED after its release. */
export let handleOf: (resource: Resource) => number;

/**
 * Base of all classes that own something. `dispose()` (and `using`) gives it back; twice is allowed,
 * any other call afterwards throws `ERR_IOL_CLOSED`.
 */
export abstract class Resource implements Disposable {
  #handle: number;
  readonly #kind: Kind;
  readonly #isTracked: boolean;
  /** @internal */
  readonly cannotBeCloned = refuseClone;

  static {
    handleOf = (resource) => {
      if (resource.#handle === 0) throw closedError(resource.#kind.subject);
      return resource.#handle;
    };
  }

  /** @internal */
  protected constructor(kind: Kind, handle: number, isTracked: boolean) {
    this.#handle = handle;
    this.#kind = kind;
    this.#isTracked = isTracked;
    if (isTracked) track(this, kind, handle);
  }

  /** Whether it was released. */
  get isDisposed(): boolean {
    return this.#handle === 0;
  }

  /** Gives back what this owns. Idempotent; never throws. */
  dispose(): void {
    const handle = this.#handle;
    if (handle === 0) return;
    this.#handle = 0;
    if (this.#isTracked) untrack(this);
    this.#kind.release(handle);
  }

  /** The same as {@link dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Ends this object without giving anything back: somebody else has taken the handle over. */
  protected forget(): void {
    this.#handle = 0;
    if (this.#isTracked) untrack(this);
  }

  /** What `inspect` shows inside the braces. */
  protected inspectFields(): Record<string, unknown> {
    return {};
  }

  /** @internal */
  [inspect.custom](depth: number, options: InspectOptions): string {
    const name = this.constructor.name;
    if (this.isDisposed) return `${name} <released>`;
    return `${name} ${inspect(this.inspectFields(), { ...options, depth })}`;
  }
}
