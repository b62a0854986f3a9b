// Who makes the requests: the bench's own C client, or wrk. Both give the same figures.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exists, run, startServer } from '../lib/children.mjs';
import { MissingError } from '../lib/compile.mjs';
import { endedChildrenSeconds } from '../lib/cpu.mjs';

/** wrk's own report rounds; this prints what it knows in full. */
const WRK_REPORT = `done = function(summary, latency)
  local e = summary.errors
  io.write(string.format("REPORT %d %d %d %d %.0f %.0f %.0f\\n", summary.requests, summary.bytes,
    e.connect + e.read + e.write + e.timeout, e.status, summary.duration, latency:percentile(50), latency:percentile(99)))
end
`;

/** What slow readers ask for. */
export const SLOW_BYTES = 1 << 20;

function ownLoad({ cpu, connections, program, close = false, slowReaders = 0 }) {
  const common = (port, path) => ['--port', String(port), '--path', path];
  const modes = close ? ['--close', '1'] : [];
  const verify = async (args) => {
    const { code, stderr } = await run(program, args, { cpu });
    if (code !== 0) throw new Error(stderr.trim() || `load --verify ended with status ${code}`);
  };
  return {
    async run(port, path, seconds, extra = []) {
      const args = [...common(port, path), '--connections', String(connections), '--seconds', String(seconds),
        ...modes, ...extra];
      const { code, stdout, stderr } = await run(program, args, { cpu });
      if (code > 1 || stdout === '') throw new Error(stderr.trim() || `load ended with status ${code}`);
      return JSON.parse(stdout);
    },
    /** Slow readers, until `stop()` of what it resolves to; undefined when there are none. */
    async hold(port) {
      if (slowReaders === 0) return undefined;
      const args = [...common(port, `/${SLOW_BYTES}.bin`), '--slow', String(slowReaders)];
      return startServer({ command: program, args, cpu, ready: /^holding (\d+)/m });
    },
    /** Reads everything and compares every byte with those of a file; throws when one differs. */
    verify(port, path, file) {
      return verify([...common(port, path), '--verify', file]);
    },
    /** The same with bodies that are made for each request: see native/load.c. */
    verifyCounter(port, path, size) {
      return verify([...common(port, path), '--verify-counter', String(size)]);
    },
  };
}

async function wrkLoad({ cpu, connections, scratch, own }) {
  if (!await exists('wrk', ['-v'])) throw new MissingError('wrk is not installed (Debian: apt install wrk)');
  const script = join(scratch, 'report.lua');
  await writeFile(script, WRK_REPORT);
  return {
    verify: own.verify,
    hold: own.hold,
    async run(port, path, seconds) {
      const before = endedChildrenSeconds();
      const args = ['-t1', `-c${connections}`, `-d${Math.ceil(seconds)}s`, '-s', script, `http://127.0.0.1:${port}${path}`];
      const { stdout, stderr } = await run('wrk', args, { cpu });
      const report = /^REPORT (.*)$/m.exec(stdout)?.[1].split(' ').map(Number);
      if (report === undefined) throw new Error(`wrk: ${(stderr || stdout).trim()}`);
      const [responses, bytes, errors, non200, durationUs, p50Us, p99Us] = report;
      const loadCpuSeconds = endedChildrenSeconds() - before;
      return { responses, bytes, errors, non200, seconds: durationUs / 1e6, loadCpuSeconds, p50Us, p99Us };
    },
  };
}

export async function createLoad(kind, { cpu, connections, program, scratch, close, slowReaders }) {
  const own = ownLoad({ cpu, connections, program, close, slowReaders });
  return kind === 'wrk' ? wrkLoad({ cpu, connections, scratch, own }) : own;
}
