// `npm run bench:cgi` asks each server for each kind of answer, checks the bytes, and writes what it found.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const root = path.join(__dirname, '..', '..');

interface Row { case: string; subject: string; metric: string; value: number; unit: string }

function bench(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, ['bench/cgi/run.mjs', ...args], { cwd: root, encoding: 'utf8' });
}

describe('npm run bench:cgi', function () {
  this.timeout(120_000);
  let folder: string;
  before(() => { folder = mkdtempSync(path.join(tmpdir(), 'iol-bench-test-')); });
  after(() => rmSync(folder, { recursive: true }));

  it('measures workers and programs beside the static answers of their server', () => {
    const file = path.join(folder, 'rows.json');
    const only = 'flash-lite-worker-same,flash-lite-worker-fresh,flash-lite-cgi,nginx-fastcgi-fresh';
    const args = ['--quick', '--rounds', '1', '--seconds', '0.1', '--sizes', '1KiB', '--connections', '4', '--only', only];
    const { status, stdout, stderr } = bench(...args, '--json', file);
    assert.equal(status, 0, stdout + stderr);
    const { rows } = JSON.parse(readFileSync(file, 'utf8')) as { rows: Row[] };
    const cases = {
      'flash-lite': 'static', 'flash-lite-worker-same': 'same', 'flash-lite-worker-fresh': 'fresh', 'flash-lite-cgi': 'fresh',
    };
    for (const [subject, row] of Object.entries(cases)) {
      for (const metric of ['cpu_us_per_request', 'share_of_static', 'cpu_share_of_static']) {
        const found = rows.find((each) =>
          each.subject === subject && each.case === `1KiB ${row}` && each.metric === metric);
        assert.ok(found !== undefined && found.value > 0, `${subject}: ${metric}`);
      }
    }
    if (!/nginx +left out/.test(stdout)) {
      assert.ok(rows.some((each) => each.subject === 'nginx-fastcgi-fresh' && each.metric === 'ratio_to_nginx_fastcgi'));
    }
  });

  it('refuses what it cannot measure', () => {
    for (const [args, message] of [
      [['--sizes', '15'], /'15' is no size/], [['--rounds', '0'], /--rounds must be a whole number/], [['--only', 'x'], /no subject 'x'/],
    ] as const) {
      const { status, stderr } = bench(...args);
      assert.equal(status, 2);
      assert.match(stderr, message);
    }
  });
});
