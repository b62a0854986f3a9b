// The command line of bench:http.
import { UsageError, choice, flag, nameList, number, parseValues, sizeList, text, wholeNumber } from '../lib/options.mjs';

const ALL_SIZES = '512,1KiB,4KiB,16KiB,26510,64KiB,100KiB,256KiB,1MiB';
const FULL = { sizes: ALL_SIZES, seconds: '2', rounds: '5', repeats: 2, quietSeconds: 3 };
const QUICK = { sizes: '1KiB,26510,1MiB', seconds: '0.8', rounds: '3', repeats: 1, quietSeconds: 2 };
const MAX_SIZE_BYTES = 64 << 20;
const MAX_CONNECTIONS = 4096;

export const HELP = `bench:http: server CPU per request of static files, as a multiple of a bare C epoll server

  npm run bench:http -- [options]

  --quick             three sizes, three short rounds: about a minute
  --sizes LIST        body sizes, for example 512,1KiB,26510,1MiB (at most 64MiB each)
  --only LIST         only these subjects; the bare server always runs, it is the yardstick
  --seconds S         length of one measurement (default ${FULL.seconds}; --quick ${QUICK.seconds})
  --rounds N          measurements of each subject and size (default ${FULL.rounds}; --quick ${QUICK.rounds})
  --connections N     keep-alive connections (default 64, at most ${MAX_CONNECTIONS})
  --close             a new connection for each request (Connection: close)
  --open-loop SHARE   so much of the rate that each subject reaches, whether answers come or not: latency says
                      how long requests wait for the server (default: closed loop)
  --slow-readers N    beside the others N clients with receive buffers of 2 KiB that ask for 1 MiB and do not read
  --load own|wrk      who makes the requests (default own: lets the kernel drop the bodies)
  --json FILE         also write { machine, run, rows } there
  --list              print the subjects and what is missing, and end
  --help              this text
`;

export function parseOptions(argv, subjectNames) {
  const values = parseValues(argv, {
    quick: flag, list: flag, help: flag, sizes: text, only: text, seconds: text, rounds: text,
    close: flag, 'open-loop': { type: 'string', default: '0' }, 'slow-readers': { type: 'string', default: '0' },
    connections: { type: 'string', default: '64' }, load: { type: 'string', default: 'own' }, json: text,
  });
  const defaults = values.quick ? QUICK : FULL;
  const load = choice('load', values.load, ['own', 'wrk']);
  const { help, list, json, close } = values;
  const openLoop = number('open-loop', values['open-loop'], { min: 0, max: 1 });
  const slowReaders = wholeNumber('slow-readers', values['slow-readers'], { min: 0, max: 20_000 });
  if (load === 'wrk' && (close || openLoop > 0 || slowReaders > 0)) {
    throw new UsageError('--close, --open-loop and --slow-readers need --load own');
  }
  return {
    help,
    list,
    json,
    close,
    openLoop,
    slowReaders,
    load,
    only: values.only === undefined ? subjectNames : nameList(values.only, subjectNames),
    repeats: defaults.repeats,
    quietSeconds: defaults.quietSeconds,
    sizes: sizeList(values.sizes ?? defaults.sizes, { max: MAX_SIZE_BYTES }),
    seconds: number('seconds', values.seconds ?? defaults.seconds, { min: 0.1, max: 600 }),
    rounds: wholeNumber('rounds', values.rounds ?? defaults.rounds, { max: 1000 }),
    connections: wholeNumber('connections', values.connections, { max: MAX_CONNECTIONS }),
  };
}
