// What the tortures in TypeScript share: chance that a seed repeats, and options that are numbers.
import { parseArgs } from 'node:util';

/** Numbers from 0 to `below` - 1 (mulberry32): small, and the same everywhere. */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return Math.floor((((word ^ (word >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/**
 * `--name N` for each of `fallbacks`, what was not given as it is there; and `--seed N`, else any. `--help`
 * and what is wrong end the process.
 */
export function numbersFrom<Name extends string>(
  fallbacks: Readonly<Record<Name, number>>, args = process.argv.slice(2),
): Record<Name | 'seed', number> {
  const known = { ...fallbacks, seed: Date.now() % 1_000_000 } as Record<Name | 'seed', number>;
  const usage = Object.entries(fallbacks).map(([name, fallback]) => `[--${name} N (${String(fallback)})]`);
  const end = (text: string, code: number): never => {
    console[code === 0 ? 'log' : 'error'](`${text}options: ${usage.join(' ')} [--seed N (any)]`);
    process.exit(code);
  };
  const option = (name: string): [string, { type: 'string' }] => [name, { type: 'string' }];
  const options = { ...Object.fromEntries(Object.keys(known).map(option)), help: { type: 'boolean' as const } };
  let values: Record<string, string | boolean | undefined> = {};
  try {
    ({ values } = parseArgs({ options, args }));
  } catch (error) {
    end(`${(error as Error).message}\n`, 2);
  }
  if (values['help'] === true) end('', 0);
  for (const [name, text] of Object.entries(values)) {
    if (!/^\d+$/.test(String(text))) end(`--${name} must be a number, not ${String(text)}\n`, 2);
    known[name as Name] = Number(text);
  }
  return known;
}
