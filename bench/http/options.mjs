// The command line of bench:http.
import { UsageError, choice, flag, nameList, number, parseValues, sizeList, text, wholeNumber } from '../lib/options.mjs';
import { heldOf } from './held.mjs';

const ALL_SIZES = '512,1KiB,4KiB,16KiB,26510,64KiB,100KiB,256KiB,1MiB';
const FULL = { sizes: ALL_SIZES, seconds: '2', rounds: '5', repeats: 2, quietSeconds: 3 };
const QUICK = { sizes: '1KiB,26510,1MiB', seconds: '0.8', rounds: '3', repeats: 1, quietSeconds: 2 };
const SEND_SIZES = '1KiB,16KiB,64KiB,128KiB,256KiB,1MiB,4MiB,16MiB';
const MAX_SIZE_BYTES = 64 << 20;
const MAX_CONNECTIONS = 4096;
const MAX_HELD = 16_000;
const MAX_FILES = 15_000;

export const HELP = `bench:http: server CPU per request of static files, as a multiple of a bare C epoll server

  npm run bench:http -- [options]

  What is asked for
  --sizes LIST         body sizes, for example 512,1KiB,26510,1MiB (at most 64MiB each)
  --mix                10,000 files by popularity, with the heads of browsers, in the place of sizes
  --files N            so many files in the mix
  --close              a new connection for each request (Connection: close)
  --open-loop SHARE    so much of the rate that each subject reaches, whether answers come or not: latency says
                       how long requests wait for the server (default: closed loop)
  --connections N      keep-alive connections (default 64, at most ${MAX_CONNECTIONS})
  --tls                by HTTPS, beside those that speak it; nginx always runs then, it is the yardstick. With --close
                       each request has a full handshake
  --veth               through a pair of network namespaces in the place of loopback; needs root

  What is held beside it: CPU per request as a multiple of that without them, and memory of each
  --slow-readers N     clients with receive buffers of 2 KiB that ask for 1 MiB and do not read
  --idle N             clients that were answered once and keep their connection
  --slow-connections N clients that send a head byte by byte, one a second

  Who answers
  --only LIST          only these subjects; the bare server always runs, it is the yardstick
  --all                also those that are only started when they are named
  --log                those that can without, and with each kind of access log
  --send-paths         the bare server alone, in each way in which it could send (--only: some of them)

  How
  --quick              three sizes, three short rounds: about a minute
  --seconds S          length of one measurement (default ${FULL.seconds}; --quick ${QUICK.seconds})
  --rounds N           measurements of each subject and size (default ${FULL.rounds}; --quick ${QUICK.rounds})
  --repeats N          of a measurement that others disturbed (default ${FULL.repeats}; --quick ${QUICK.repeats})
  --load own|wrk       who makes the requests (default own: lets the kernel drop the bodies)
  --json FILE          also write { machine, run, rows } there
  --list               print the subjects and what is missing, and end
  --help               this text
`;

function checkTogether({ load, close, openLoop, mix, log, sendPaths, all, tls }, values) {
  const held = ['slow-readers', 'idle', 'slow-connections'].filter((name) => values[name] !== '0');
  if (load === 'wrk' && (close || openLoop > 0 || mix || tls || held.length > 0)) {
    throw new UsageError('--close, --open-loop, --mix, --tls and connections that are held need --load own');
  }
  if (tls && held.includes('slow-connections')) throw new UsageError('--slow-connections sends heads without TLS: leave out --tls');
  if (held.length > 1) throw new UsageError(`--${held.join(' and --')}: one of them at a time`);
  if (mix && values.sizes !== undefined) throw new UsageError('--mix has its own sizes: leave out --sizes');
  if (sendPaths && (mix || log || all || tls)) {
    throw new UsageError('--send-paths has its own subjects: leave out --mix, --log, --all and --tls');
  }
}

/**
 * `names`: of all subjects; `onDemand`: of those that run only when they are asked for; `secure`: of those for --tls;
 * `ways`: of --send-paths.
 */
export function parseOptions(argv, { names, onDemand, secure, ways }) {
  const none = { type: 'string', default: '0' };
  const values = parseValues(argv, {
    quick: flag, list: flag, help: flag, sizes: text, only: text, seconds: text, rounds: text, mix: flag, veth: flag, tls: flag,
    close: flag, 'open-loop': none, 'slow-readers': none, idle: none, 'slow-connections': none, all: flag, log: flag,
    'send-paths': flag, repeats: text, files: { type: 'string', default: '10000' }, connections: { type: 'string', default: '64' }, load: { type: 'string', default: 'own' }, json: text,
  });
  const defaults = values.quick ? QUICK : FULL;
  const { help, list, json, close, mix, tls, veth, all, log, 'send-paths': sendPaths } = values;
  const load = choice('load', values.load, ['own', 'wrk']);
  const openLoop = number('open-loop', values['open-loop'], { min: 0, max: 1 });
  checkTogether({ load, close, openLoop, mix, log, sendPaths, all, tls }, values);
  const count = (name) => wholeNumber(name, values[name], { min: 0, max: MAX_HELD });
  const served = tls ? secure : names;
  const known = sendPaths ? ways : served;
  const usual = all ? served : known.filter((name) => !onDemand.includes(name));
  return {
    help, list, json, close, mix, tls, veth, log, sendPaths, load, openLoop,
    files: wholeNumber('files', values.files, { max: MAX_FILES }),
    held: heldOf({ slowReaders: count('slow-readers'), idle: count('idle'), slowConnections: count('slow-connections') }),
    only: values.only === undefined ? usual : nameList(values.only, known),
    repeats: values.repeats === undefined ? defaults.repeats : wholeNumber('repeats', values.repeats, { min: 0, max: 10 }),
    quietSeconds: defaults.quietSeconds,
    sizes: mix ? [] : sizeList(values.sizes ?? (sendPaths && !values.quick ? SEND_SIZES : defaults.sizes), { max: MAX_SIZE_BYTES }),
    seconds: number('seconds', values.seconds ?? defaults.seconds, { min: 0.1, max: 600 }),
    rounds: wholeNumber('rounds', values.rounds ?? defaults.rounds, { max: 1000 }),
    connections: wholeNumber('connections', values.connections, { max: MAX_CONNECTIONS }),
  };
}
