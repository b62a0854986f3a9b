// The command line of bench:ipc.
import { parseArgs } from 'node:util';
import { parseSize } from '../lib/format.mjs';

const FULL = { sizes: '64,1KiB,4KiB,16KiB,64KiB,256KiB,1MiB,4MiB,16MiB,64MiB', rounds: '5', ms: '400' };
const QUICK = { sizes: '64,4KiB,64KiB,1MiB,64MiB', rounds: '3', ms: '60' };
const MAX_SIZE_BYTES = 64 << 20;
const PLACES = ['one', 'two', 'free'];

export const HELP = `bench:ipc: messages between two Node processes, by reference and by copying

  npm run bench:ipc -- [options]

  --quick             five sizes, three short rounds: under three minutes
  --sizes LIST        message sizes, for example 64,64KiB,1MiB (at most 64MiB each)
  --only LIST         only these subjects
  --cpus PLACE        sender and receiver on one processor, on two, or free (default two)
  --rounds N          measurements of each subject, row and size (default ${FULL.rounds}; --quick ${QUICK.rounds})
  --ms N              length of one measurement (default ${FULL.ms}; --quick ${QUICK.ms})
  --json FILE         also write { machine, run, rows } there
  --list              print the subjects and what is missing, and end
  --help              this text
`;

export class UsageError extends Error {}

function whole(name, text, max) {
  const value = Number(text);
  if (!(Number.isInteger(value) && value >= 1 && value <= max)) {
    throw new UsageError(`--${name} must be a whole number from 1 to ${max}, not '${text}'`);
  }
  return value;
}

function sizes(text) {
  const list = text.split(',').map((part) => {
    const bytes = parseSize(part);
    if (bytes === null || bytes < 1 || bytes > MAX_SIZE_BYTES) {
      throw new UsageError(`--sizes: '${part}' is no size from 1 to 64MiB`);
    }
    return bytes;
  });
  return [...new Set(list)].sort((a, b) => a - b);
}

export function parseOptions(argv, subjectNames) {
  const text = { type: 'string' };
  const flag = { type: 'boolean', default: false };
  let values;
  try {
    ({ values } = parseArgs({
      args: argv,
      options: {
        quick: flag, list: flag, help: flag, sizes: text, only: text, rounds: text, ms: text, json: text,
        cpus: { type: 'string', default: 'two' },
      },
    }));
  } catch (error) {
    throw new UsageError(error.message);
  }
  const defaults = values.quick ? QUICK : FULL;
  const only = values.only?.split(',') ?? subjectNames;
  for (const name of only) {
    if (!subjectNames.includes(name)) {
      throw new UsageError(`--only: no subject '${name}'; there are ${subjectNames.join(', ')}`);
    }
  }
  if (!PLACES.includes(values.cpus)) throw new UsageError(`--cpus must be one, two or free, not '${values.cpus}'`);
  const { help, list, json, quick, cpus } = values;
  return {
    help, list, json, quick, cpus, only,
    sizes: sizes(values.sizes ?? defaults.sizes),
    rounds: whole('rounds', values.rounds ?? defaults.rounds, 1000),
    ms: whole('ms', values.ms ?? defaults.ms, 60_000),
  };
}
