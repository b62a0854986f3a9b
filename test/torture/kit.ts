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

/** `--name N` for each of `fallbacks`, what was not given as it is there; and `--seed N`, else any. */
export function numbersFrom<Name extends string>(
  fallbacks: Readonly<Record<Name, number>>, args = process.argv.slice(2),
): Record<Name | 'seed', number> {
  const known = { ...fallbacks, seed: Date.now() % 1_000_000 } as Record<Name | 'seed', number>;
  const options = Object.fromEntries(Object.keys(known).map((name) => [name, { type: 'string' as const }]));
  for (const [name, text] of Object.entries(parseArgs({ options, args }).values)) {
    if (!/^\d+$/.test(String(text))) throw new Error(`--${name} must be a number, not ${String(text)}`);
    known[name as Name] = Number(text);
  }
  return known;
}
