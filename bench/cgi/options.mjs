// The command line of bench:cgi.
import { parseArgs } from 'node:util';
import { parseSize } from '../lib/format.mjs';
import { UsageError } from '../lib/host.mjs';

const FULL = { sizes: '1KiB,10KiB,100KiB,1MiB', seconds: '1.5', rounds: '5', repeats: 2, quietSeconds: 3 };
const QUICK = { sizes: '1KiB,10KiB,100KiB', seconds: '0.4', rounds: '3', repeats: 0, quietSeconds: 1 };
const SIZE_BYTES_MIN = 16;
const SIZE_BYTES_MAX = 64 << 20;

export const HELP = `bench:cgi: server CPU per request of answers that a program makes, beside static ones of the same server

  npm run bench:cgi -- [options]

  --quick             three sizes, three short rounds: about a minute
  --sizes LIST        body sizes, for example 1KiB,100KiB (16 bytes to 64MiB each)
  --only LIST         only these subjects; the static answers of their servers are measured with them
  --seconds S         length of one measurement (default ${FULL.seconds}; --quick ${QUICK.seconds})
  --rounds N          measurements of each subject and size (default ${FULL.rounds}; --quick ${QUICK.rounds})
  --connections N     keep-alive connections (default 64, at most 1024)
  --json FILE         also write { machine, run, rows } there
  --list              print the subjects and what is missing, and end
  --help              this text
`;

function number(name, text, { min, max, whole }) {
  const value = Number(text);
  if (text.trim() === '' || !(value >= min && value <= max) || (whole && !Number.isInteger(value))) {
    throw new UsageError(`--${name} must be ${whole ? 'a whole number' : 'a number'} from ${min} to ${max}, not '${text}'`);
  }
  return value;
}

function sizes(text) {
  return [...new Set(text.split(',').map((part) => {
    const bytes = parseSize(part);
    if (bytes === null || bytes < SIZE_BYTES_MIN || bytes > SIZE_BYTES_MAX) {
      throw new UsageError(`--sizes: '${part}' is no size from ${SIZE_BYTES_MIN} to 64MiB`);
    }
    return bytes;
  }))];
}

export function parseOptions(argv, subjectNames) {
  const text = { type: 'string' };
  const flag = { type: 'boolean', default: false };
  let values;
  try {
    ({ values } = parseArgs({
      args: argv,
      options: {
        quick: flag, list: flag, help: flag, sizes: text, only: text, seconds: text, rounds: text,
        connections: { type: 'string', default: '64' }, json: text,
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
  return {
    help: values.help,
    list: values.list,
    json: values.json,
    only,
    repeats: defaults.repeats,
    quietSeconds: defaults.quietSeconds,
    sizes: sizes(values.sizes ?? defaults.sizes),
    seconds: number('seconds', values.seconds ?? defaults.seconds, { min: 0.1, max: 600 }),
    rounds: number('rounds', values.rounds ?? defaults.rounds, { min: 1, max: 1000, whole: true }),
    connections: number('connections', values.connections, { min: 1, max: 1024, whole: true }),
  };
}
