// The command line of bench:ipc.
import { choice, flag, nameList, parseValues, sizeList, text, wholeNumber } from '../lib/options.mjs';

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

export function parseOptions(argv, subjectNames) {
  const values = parseValues(argv, {
    quick: flag, list: flag, help: flag, sizes: text, only: text, rounds: text, ms: text, json: text,
    cpus: { type: 'string', default: 'two' },
  });
  const defaults = values.quick ? QUICK : FULL;
  const { help, list, json, quick } = values;
  return {
    help, list, json, quick,
    cpus: choice('cpus', values.cpus, PLACES),
    only: values.only === undefined ? subjectNames : nameList(values.only, subjectNames),
    sizes: sizeList(values.sizes ?? defaults.sizes, { max: MAX_SIZE_BYTES }).sort((a, b) => a - b),
    rounds: wholeNumber('rounds', values.rounds ?? defaults.rounds, { max: 1000 }),
    ms: wholeNumber('ms', values.ms ?? defaults.ms, { max: 60_000 }),
  };
}
