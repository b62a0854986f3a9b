// `npm run bench` measures, verifies that all subjects do the same, and writes what it found.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const root = path.join(__dirname, '..', '..');

interface Row { bench: string; case: string; subject: string; metric: string; value: number; unit: string }

function bench(...args: string[]): ReturnType<typeof spawnSync> & { stdout: string; stderr: string } {
  return spawnSync(process.execPath, ['scripts/run-bench.mjs', ...args], { cwd: root, encoding: 'utf8' });
}

describe('npm run bench', function () {
  this.timeout(60_000);
  let folder: string;
  before(() => { folder = mkdtempSync(path.join(tmpdir(), 'iol-bench-test-')); });
  after(() => rmSync(folder, { recursive: true }));

  it('writes rates, bytes copied and ratios of one case as JSON, and a table', () => {
    const file = path.join(folder, 'rows.json');
    const result = bench('--quick', '--suite', 'create', '--case', 'from bytes, 64 B', '--json', file);
    assert.equal(result.status, 0, result.stderr);
    const { machine, run, rows } = JSON.parse(readFileSync(file, 'utf8')) as {
      machine: { node: string }; run: object; rows: Row[];
    };
    assert.equal(machine.node, process.version);
    assert.deepEqual(run, { bench: 'micro', quick: true, suites: ['create'] });
    for (const subject of ['io-lite', 'bl', 'Buffer']) {
      const rate = rows.find((row) => row.subject === subject && row.metric === 'ops/s');
      assert.ok(rate !== undefined && rate.value > 0, subject);
    }
    const copied = rows.find(({ metric }) => metric === 'bytes_copied_per_op');
    assert.deepEqual(copied, {
      bench: 'create', case: 'from bytes, 64 B', subject: 'io-lite', metric: 'bytes_copied_per_op', value: 64, unit: 'B',
    });
    assert.ok(rows.some(({ subject, metric }) => subject === 'io-lite' && metric === 'ratio_to_best_rival'));
    assert.match(result.stdout, /create: operations\/s +io-lite +bl +Buffer/);
    const rates = rows.filter(({ metric }) => metric === 'ops/s');
    const ours = rates.find(({ subject }) => subject === 'io-lite')!;
    const slower = String(result.stdout).slice(result.stdout.indexOf('Slower than a rival'));
    for (const { subject, value } of rates.filter((row) => row !== ours)) {
      assert.equal(new RegExp(`create: from bytes, 64 B +${subject} `).test(slower), value > ours.value);
    }
  });

  for (const [name, args, message] of [
    ['a suite that is none', ['--suite', 'nope'], /no suite is named nope/],
    ['an option that is none', ['--nope'], /--nope/],
    ['a file that cannot be written', ['--json', '/nowhere/rows.json'], /--json: ENOENT/],
  ] as const) {
    it(`refuses ${name} before it measures`, () => {
      const result = bench(...args);
      assert.equal(result.status, 2);
      assert.match(result.stderr, message);
    });
  }
});
