// `npm run bench:ipc` sends the same bytes through all subjects, and writes what it found.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const root = path.join(__dirname, '..', '..');

interface Row { case: string; subject: string; metric: string; value: number; unit: string }

function bench(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, ['bench/ipc/run.mjs', ...args], { cwd: root, encoding: 'utf8' });
}

describe('npm run bench:ipc', function () {
  this.timeout(120_000);
  let folder: string;
  before(() => { folder = mkdtempSync(path.join(tmpdir(), 'iol-bench-test-')); });
  after(() => rmSync(folder, { recursive: true }));

  it('measures every subject in each row, and says which are left out', () => {
    const file = path.join(folder, 'rows.json');
    const args = ['--cpus', 'free', '--sizes', '64,64KiB', '--rounds', '1', '--ms', '1', '--json', file];
    const { status, stdout, stderr } = bench(...args);
    assert.equal(status, 0, stdout + stderr);
    const { rows } = JSON.parse(readFileSync(file, 'utf8')) as { rows: Row[] };
    for (const subject of ['io-lite', 'unix-socket', 'pipe', 'cp-advanced', 'cp-json', 'worker']) {
      for (const row of ['the same bytes again', 'freshly filled', 'freshly filled, every byte read']) {
        const found = rows.find((each) => each.subject === subject && each.case === `64KiB, ${row}` &&
          each.metric === 'round_trip_p50_us');
        assert.ok(found !== undefined && found.value > 0, `${subject}: ${row}`);
      }
      const oneWay = rows.find((each) => each.subject === subject && each.case === '64B, one way');
      assert.ok(oneWay !== undefined && oneWay.value > 0, subject);
    }
    assert.match(stdout, /zeromq +(left out|zeromq,)/);
    assert.match(stdout, /^Crossover, the same bytes again: /m);
    assert.match(stdout, /^Spinning, io-lite, 64B round trip, /m);
  });

  it('refuses what it cannot measure', () => {
    for (const [args, message] of [
      [['--sizes', '0'], /'0' is no size/], [['--cpus', 'three'], /must be one, two or free/], [['--only', 'x'], /no subject 'x'/],
    ] as const) {
      const { status, stderr } = bench(...args);
      assert.equal(status, 2);
      assert.match(stderr, message);
    }
  });
});
