/**
 * Access lists: which domains may read a pool. They are checked here, and kept by the window's host.
 */
import { invalidType, invalidValue, outOfRange, validateInteger, validateObject, validateString } from '../validate';

/**
 * One way of being let in: by effective user or group (supplementary groups count), by process, or by
 * what a domain called itself when it attached. The first three are the kernel's word (unix(7),
 * SO_PEERCRED), the label is the domain's own.
 */
export type AccessRule =
  | { readonly uid: number }
  | { readonly gid: number }
  | { readonly pid: number }
  | { readonly label: string };

/** In the order of the addon's AccessEntry::Kind, which begins with 1. */
const kinds = ['uid', 'gid', 'pid', 'label'] as const;
const rulesMax = 16;
const labelMax = 31;
/** The last one means "nobody" to the kernel (setreuid(2)). */
const idMax = 2 ** 32 - 2;
const pidMax = 2 ** 22;

/** What a domain may be called; '' is no name. */
export function validateLabel(label: unknown, name: string): asserts label is string {
  validateString(label, name);
  if (label.length > labelMax || /[^\x21-\x7e]/.test(label)) {
    throw invalidValue(name, `must be up to ${labelMax} printable ASCII characters without spaces`, label);
  }
}

function checkRule(rule: unknown, name: string): [kind: number, value: number | string] {
  validateObject(rule, name);
  const keys = Object.keys(rule);
  const kind = kinds.findIndex((each) => each === keys[0]);
  if (keys.length !== 1 || kind < 0) {
    throw invalidValue(name, 'must have exactly one of uid, gid, pid and label', rule);
  }
  const value = Object.values(rule)[0] as unknown;
  const path = `${name}.${kinds[kind]}`;
  if (kinds[kind] === 'label') {
    validateLabel(value, path);
    if (value === '') throw invalidValue(path, 'must not be empty', value);
    return [kind + 1, value];
  }
  if (kinds[kind] === 'pid') validateInteger(value, path, 1, pidMax);
  else validateInteger(value, path, 0, idMax);
  return [kind + 1, value];
}

/** The rules as the addon takes them: kind, value, kind, value, … */
export function checkAccess(access: unknown, name: string): (number | string)[] {
  if (access === undefined) return [];
  if (!Array.isArray(access)) throw invalidType(name, 'an instance of Array', access);
  if (access.length > rulesMax) throw outOfRange(`${name}.length`, `<= ${rulesMax}`, access.length);
  // Why not "nobody": an empty list is what a program gets that computed it wrong.
  if (access.length === 0) throw invalidValue(name, 'must not be empty: leave it out for everybody', access);
  return access.flatMap((rule, i) => checkRule(rule, `${name}[${i}]`));
}
