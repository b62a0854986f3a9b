// `npm run bench:permute` counts right by every way, and writes what it found.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const root = path.join(__dirname, '..', '..');

interface Row { case: string; subject: string; metric: string; value: number; unit: string }

function bench(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, ['bench/permute/run.mjs', ...args], { cwd: root, encoding: 'utf8' });
}

describe('npm run bench:permute', function () {
  this.timeout(60_000);
  let folder: string;
  before(() => { folder = mkdtempSync(path.join(tmpdir(), 'iol-bench-test-')); });
  after(() => rmSync(folder, { recursive: true }));

  it('measures each way in each round, and checks what was counted', () => {
    const file = path.join(folder, 'rows.json');
    const { status, stdout, stderr } = bench('--words', '7', '--rounds', '1', '--piece', '16KiB', '--json', file);
    assert.equal(status, 0, stdout + stderr);
    const { rows } = JSON.parse(readFileSync(file, 'utf8')) as { rows: Row[] };
    for (const subject of ['by name', 'by pipe', 'fs']) {
      const found = rows.filter((each) => each.subject === subject && each.case === 'permute | wc, 7 words');
      assert.deepEqual(
        found.map(({ metric }) => metric),
        ['seconds', 'cpu_seconds', 'ratio_to_pipe', 'cpu_ratio_to_pipe'],
      );
      assert.ok(found.every(({ value }) => value > 0), subject);
    }
    assert.match(stdout, /^By name against by pipe: [+-]\d+ % run time/m);
  });

  it('refuses what it cannot measure', () => {
    for (const [args, message] of [
      [['--words', '0'], /--words must be/], [['--piece', 'x'], /--piece must be/], [['--other'], /--other/],
    ] as const) {
      const { status, stderr } = bench(...args);
      assert.equal(status, 2);
      assert.match(stderr, message);
    }
  });
});
