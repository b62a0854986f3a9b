// What the command lines of the benches have in common.
import { parseArgs } from 'node:util';
import { parseSize, sizeName } from './format.mjs';

export class UsageError extends Error {}

/** For `parseOptions`: an option with a value, and one without. */
export const text = { type: 'string' };
export const flag = { type: 'boolean', default: false };

/** `parseArgs` of Node, whose complaints become UsageErrors. */
export function parseValues(argv, options) {
  try {
    return parseArgs({ args: argv, options }).values;
  } catch (error) {
    throw new UsageError(error.message);
  }
}

export function number(name, value, { min, max, whole = false }) {
  const parsed = Number(value);
  if (value.trim() === '' || !(parsed >= min && parsed <= max) || (whole && !Number.isInteger(parsed))) {
    throw new UsageError(`--${name} must be ${whole ? 'a whole number' : 'a number'} from ${min} to ${max}, not '${value}'`);
  }
  return parsed;
}

export const wholeNumber = (name, value, { min = 1, max }) => number(name, value, { min, max, whole: true });

/** `--sizes`: bytes, each once, in the order they were given. */
export function sizeList(value, { min = 1, max }) {
  return [...new Set(value.split(',').map((part) => {
    const bytes = parseSize(part);
    if (bytes === null || bytes < min || bytes > max) {
      throw new UsageError(`--sizes: '${part}' is no size from ${min} to ${sizeName(max)}`);
    }
    return bytes;
  }))];
}

/** `--only`: names, all of them known. */
export function nameList(value, names) {
  const only = value.split(',');
  for (const name of only) {
    if (!names.includes(name)) throw new UsageError(`--only: no subject '${name}'; there are ${names.join(', ')}`);
  }
  return only;
}

/** `--cpus`, `--place`: one of several words. */
export function choice(name, value, words) {
  if (words.includes(value)) return value;
  throw new UsageError(`--${name} must be ${words.slice(0, -1).join(', ')} or ${words.at(-1)}, not '${value}'`);
}
