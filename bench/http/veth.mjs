// --veth: the bench runs itself once more in a network namespace of its own, its servers in another one, and the two
// are joined by a veth pair: TCP with segments of a network's size, acknowledged by another stack.
import { spawnSync } from 'node:child_process';
import { MissingError } from '../lib/compile.mjs';
import { exists, run, runHere } from '../lib/children.mjs';

/** Of 198.18.0.0/15, which is set aside for benchmarks (RFC 2544). */
const SERVER_ADDRESS = '198.18.0.1';
const LOAD_ADDRESS = '198.18.0.2';
const SERVER_NAMESPACE = 'IOL_BENCH_SERVER_NAMESPACE';

let made = [];

/** Where servers are started, and by which address they are reached. */
export function serverPlace(cpu) {
  const namespace = process.env[SERVER_NAMESPACE];
  return namespace === undefined
    ? { place: { cpu }, host: '127.0.0.1' }
    : { place: { cpu, namespace }, host: SERVER_ADDRESS };
}

/** Whether this process still has to be run within the namespaces. */
export const isOutside = () => process.env[SERVER_NAMESPACE] === undefined;

async function ip(...args) {
  const { code, stderr } = await run('ip', args);
  if (code !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr.trim()}`);
}

/** Runs this program with its arguments in the load's namespace; resolves to its exit status. */
export async function runThroughVeth() {
  if (process.getuid() !== 0) throw new MissingError('--veth makes network namespaces: it needs root');
  if (!await exists('ip', ['-V'])) throw new MissingError('ip is not installed (Debian: apt install iproute2)');
  const [server, load] = ['server', 'load'].map((end) => `iol-bench-${process.pid}-${end}`);
  for (const name of [server, load]) {
    await ip('netns', 'add', name);
    made.push(name);
  }
  await ip('-n', server, 'link', 'add', 'veth0', 'type', 'veth', 'peer', 'name', 'veth0', 'netns', load);
  for (const [name, address] of [[server, SERVER_ADDRESS], [load, LOAD_ADDRESS]]) {
    await ip('-n', name, 'address', 'add', `${address}/30`, 'dev', 'veth0');
    for (const link of ['lo', 'veth0']) await ip('-n', name, 'link', 'set', link, 'up');
  }
  // Why: with --close ports would run out, which loopback spares itself (tcp_tw_reuse is 2 there).
  const settings = ['net.ipv4.tcp_tw_reuse=1', 'net.ipv4.ip_local_port_range=1024 65000'];
  await ip('netns', 'exec', load, 'sysctl', '-qw', ...settings);
  return runHere('ip', ['netns', 'exec', load, process.execPath, ...process.argv.slice(1)], { env: { [SERVER_NAMESPACE]: server } });
}

/** At the end, when nothing is started by children.mjs any more. */
export async function removeNamespaces() {
  for (const name of made) spawnSync('ip', ['netns', 'delete', name]);
  made = [];
}
