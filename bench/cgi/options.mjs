// The command line of bench:cgi.
import { flag, nameList, number, parseValues, sizeList, text, wholeNumber } from '../lib/options.mjs';

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

export function parseOptions(argv, subjectNames) {
  const values = parseValues(argv, {
    quick: flag, list: flag, help: flag, sizes: text, only: text, seconds: text, rounds: text,
    connections: { type: 'string', default: '64' }, json: text,
  });
  const defaults = values.quick ? QUICK : FULL;
  const { help, list, json } = values;
  return {
    help,
    list,
    json,
    only: values.only === undefined ? subjectNames : nameList(values.only, subjectNames),
    repeats: defaults.repeats,
    quietSeconds: defaults.quietSeconds,
    sizes: sizeList(values.sizes ?? defaults.sizes, { min: SIZE_BYTES_MIN, max: SIZE_BYTES_MAX }),
    seconds: number('seconds', values.seconds ?? defaults.seconds, { min: 0.1, max: 600 }),
    rounds: wholeNumber('rounds', values.rounds ?? defaults.rounds, { max: 1000 }),
    connections: wholeNumber('connections', values.connections, { max: 1024 }),
  };
}
