// The words in which the state matrix is written.
import { inspect } from 'node:util';

import { Aggregate, Window, type Cursor } from 'io-lite';

/** A call with an argument that is wrong, and the code that it is blocked with. */
export type Wrong<T> = readonly [use: (subject: T) => unknown, code: string];

export interface Row<T> {
  /** Works while the subject is open; throws or rejects with ERR_IOL_CLOSED in any other state. */
  use: (subject: T) => unknown;
  /** It answers in these states, too. */
  allowed?: readonly State[];
  wrong?: readonly Wrong<T>[];
}

/** `released`: by its owner. `closed`: the window is. `sealed`: a draft that is a buffer now. */
export type State = 'released' | 'closed' | 'sealed';
export const always: readonly State[] = ['released', 'closed', 'sealed'];

export interface Table<T> {
  name: string;
  make: () => T | Promise<T>;
  /** What must be the same before and after a call that was blocked. */
  contents: (subject: T) => unknown;
  /** What there must be a row for; default: every public member of the subject and of its class. */
  members?: () => string[];
  rows: Record<string, Row<T>>;
}

export const type = 'ERR_INVALID_ARG_TYPE';
export const range = 'ERR_OUT_OF_RANGE';
export const value = 'ERR_INVALID_ARG_VALUE';
export const closed = 'ERR_IOL_CLOSED';

/** Something released, as an argument. */
export function gone(): Aggregate {
  const aggregate = Aggregate.from('gone');
  aggregate.dispose();
  return aggregate;
}

/** Of what looks like bytes, and is none. */
export const fakes: unknown[] = [
  undefined, null, 5, true, {}, [5], Symbol('x'), () => {}, new Uint16Array(2), new ArrayBuffer(2),
  { handle: 1, byteLength: 3 }, Object.create(Aggregate.prototype), new Proxy({}, {}), 10n,
];
const noRange = [-1, 0.5, NaN, Infinity, 2 ** 53];

/** Blocked with each of the fakes for bytes. */
export function refusing<T>(call: (subject: T, fake: never) => unknown): Wrong<T>[] {
  return fakes.map((fake) => [(subject) => call(subject, fake as never), 'TypeError']);
}

export function takingNumber<T>(call: (subject: T, number: number) => unknown): Wrong<T>[] {
  return [
    ...noRange.map((number): Wrong<T> => [(subject) => call(subject, number), range]),
    [(subject) => call(subject, '1' as never), type],
    [(subject) => call(subject, null as never), type],
  ];
}

/** A place as `Buffer.slice` takes it. */
export function takingPlace<T>(call: (subject: T, place: number) => unknown): Wrong<T>[] {
  return [
    [(subject) => call(subject, 0.5), range],
    [(subject) => call(subject, NaN), range],
    [(subject) => call(subject, true as never), type],
  ];
}

/** What needs a window with others in it is refused as such, here. */
export async function offline(use: () => unknown): Promise<void> {
  try {
    await use();
  } catch (error) {
    const { code } = error as { code: string };
    if (code !== 'ERR_IOL_HOST_GONE' && code !== 'ERR_IOL_NO_DOMAIN') throw error;
  }
}

export const badEncoding = 'klingon' as BufferEncoding;
export const drop = (owned: Disposable): void => owned[Symbol.dispose]();

export async function* chunks(...parts: (string | Uint8Array)[]): AsyncGenerator<string | Uint8Array> {
  yield* parts;
  await Promise.resolve();
}

export const resourceRows: Record<string, Row<Disposable & { isDisposed: boolean }>> = {
  isDisposed: { use: (r) => r.isDisposed, allowed: always },
  dispose: { use: (r) => (r as unknown as Aggregate).dispose(), allowed: always },
  'Symbol(Symbol.dispose)': { use: (r) => r[Symbol.dispose](), allowed: always },
  'Symbol(nodejs.util.inspect.custom)': { use: (r) => inspect(r), allowed: always },
};

/** A cursor's owner is what it was made of. */
export const owners = new WeakMap<Cursor, Aggregate>();
/** Whose release ends the subject. The window's would end everything: that is played in a worker. */
export function ownerOf(subject: object): Disposable {
  if (subject instanceof Window) return { [Symbol.dispose]: () => {} };
  return owners.get(subject as Cursor) ?? (subject as Disposable);
}
