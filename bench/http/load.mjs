// Who makes the requests: the bench's own C client, or wrk. Both give the same figures.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exists, run, startServer } from '../lib/children.mjs';
import { MissingError, compile } from '../lib/compile.mjs';
import { endedChildrenSeconds } from '../lib/cpu.mjs';

/** wrk's own report rounds; this prints what it knows in full. */
const WRK_REPORT = `done = function(summary, latency)
  local e = summary.errors
  io.write(string.format("REPORT %d %d %d %d %.0f %.0f %.0f\\n", summary.requests, summary.bytes,
    e.connect + e.read + e.write + e.timeout, e.status, summary.duration, latency:percentile(50), latency:percentile(99)))
end
`;

const NATIVE = fileURLToPath(new URL('native/', import.meta.url));
const PARTS = ['load.c', 'load_base.c', 'load_hold.c', 'load_mix.c', 'load_verify.c'];
const OPENSSL = ['ssl', 'crypto'].map((name) => ({ name, header: `openssl/${name}.h`, package: 'libssl-dev' }));
/** Time for 10,000 connections, each of which has been answered. */
const HOLD_TIMEOUT_MS = 120_000;

/** Compiles the client, one that speaks TLS if asked for; resolves to its path. */
export function compileLoad(scratch, { tls = false } = {}) {
  const parts = [...PARTS, tls ? 'load_tls.c' : 'load_plain.c'];
  return compile(parts.map((part) => join(NATIVE, part)), 'load', scratch, tls ? OPENSSL : []);
}

function ownLoad({ cpu, host, connections, program, close = false, tls = false }) {
  const common = (port) => ['--host', host, '--port', String(port)];
  const modes = close ? ['--close', '1'] : [];
  const verify = async (args) => {
    const { code, stderr } = await run(program, args, { cpu });
    if (code !== 0) throw new Error(stderr.trim() || `load ended with status ${code}`);
  };
  return {
    /**
     * `what`: arguments that say what to ask for. Resolves to what native/load.c prints. `onBegun`: the handshakes of
     * kept TLS connections are over; never called when there are none.
     */
    async run(port, what, seconds, onBegun) {
      const first = tls && !close ? ['--begin', '1'] : [];
      const args = [...common(port), ...modes, ...first, ...what, '--connections', String(connections), '--seconds', String(seconds)];
      const onOutput = (text) => { if (text.includes('begun')) onBegun?.(); };
      const { code, stdout, stderr } = await run(program, args, { cpu, onOutput });
      const report = /^\{.*$/m.exec(stdout)?.[0];
      if (code > 1 || report === undefined) throw new Error(stderr.trim() || `load ended with status ${code}`);
      return JSON.parse(report);
    },
    /** Connections that are held (held.mjs), until `stop()` of what it resolves to. */
    hold(port, { kind, count, size }) {
      const args = [...common(port), '--path', `/${size}.bin`, kind, String(count)];
      return startServer({ command: program, args, place: { cpu }, ready: /^holding (\d+)/m, readyTimeoutMs: HOLD_TIMEOUT_MS });
    },
    /** Reads everything and compares every byte with those of a file; throws when one differs. */
    verify: (port, path, file) => verify([...common(port), '--path', path, '--verify', file]),
    /** The same with bodies that are made for each request: see native/load.c. */
    verifyCounter: (port, path, size) => verify([...common(port), '--path', path, '--verify-counter', String(size)]),
    /** The same of all files of a mix; writes the server's entity tags to the file `tags`. */
    learn: (port, mix, tags, root) => verify([...common(port), ...modes, '--mix', mix, '--tags', tags, '--learn', root]),
  };
}

async function wrkLoad({ cpu, host, connections, scratch, own }) {
  if (!await exists('wrk', ['-v'])) throw new MissingError('wrk is not installed (Debian: apt install wrk)');
  const script = join(scratch, 'report.lua');
  await writeFile(script, WRK_REPORT);
  return {
    ...own,
    async run(port, [, path], seconds) {
      const before = endedChildrenSeconds();
      const args = ['-t1', `-c${connections}`, `-d${Math.ceil(seconds)}s`, '-s', script, `http://${host}:${port}${path}`];
      const { stdout, stderr } = await run('wrk', args, { cpu });
      const report = /^REPORT (.*)$/m.exec(stdout)?.[1].split(' ').map(Number);
      if (report === undefined) throw new Error(`wrk: ${(stderr || stdout).trim()}`);
      const [responses, bytes, errors, wrongStatus, durationUs, p50Us, p99Us] = report;
      const loadCpuSeconds = endedChildrenSeconds() - before;
      return { responses, bytes, errors, wrongStatus, seconds: durationUs / 1e6, loadCpuSeconds, p50Us, p99Us };
    },
  };
}

export async function createLoad(kind, { cpu, host, connections, program, scratch, close, tls }) {
  const own = ownLoad({ cpu, host, connections, program, close, tls });
  return kind === 'wrk' ? wrkLoad({ cpu, host, connections, scratch, own }) : own;
}
