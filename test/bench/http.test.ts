// `npm run bench:http` checks every answer, and measures what it was asked to measure.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { hasCommand } from '../cgi/programs';
import { hasOpenssl } from '../support/certificate';

const root = path.join(__dirname, '..', '..');

interface Row { case: string; subject: string; metric: string; value: number; unit: string }

function bench(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, ['bench/http/run.mjs', ...args], { cwd: root, encoding: 'utf8' });
}

describe('npm run bench:http', function () {
  this.timeout(120_000);
  let folder: string;
  before(() => { folder = mkdtempSync(path.join(tmpdir(), 'iol-bench-test-')); });
  after(() => rmSync(folder, { recursive: true }));

  const SHORT = ['--quick', '--rounds', '1', '--seconds', '0.1', '--connections', '4'];

  function rowsOf(...args: string[]): Row[] {
    const file = path.join(folder, 'rows.json');
    const { status, stdout, stderr } = bench(...SHORT, ...args, '--json', file);
    assert.equal(status, 0, stdout + stderr);
    return (JSON.parse(readFileSync(file, 'utf8')) as { rows: Row[] }).rows;
  }

  function assertPositive(rows: Row[], subject: string, name: string, ...metrics: string[]): void {
    for (const metric of metrics) {
      const found = rows.find((each) => each.subject === subject && each.case === name && each.metric === metric);
      assert.ok(found !== undefined && found.value > 0, `${subject}, ${name}: ${metric}`);
    }
  }

  it('asks for a mix as browsers do, and knows which answer each request must get', () => {
    const rows = rowsOf('--mix', '--files', '40', '--only', 'flash-lite');
    for (const subject of ['flash-lite', 'flash-lite+compress']) {
      assertPositive(rows, subject, 'mix of 40 files keep-alive', 'cpu_us_per_request', 'ratio_to_bare');
    }
  });

  it('compares with none beside connections that are held and counts their memory; access logs with none', () => {
    const rows = rowsOf('--sizes', '1KiB', '--idle', '100', '--log', '--close', '--only', 'flash-lite');
    const name = '1KiB close, 100 idle connections';
    assertPositive(rows, 'flash-lite', name, 'ratio_to_alone');
    assertPositive(rows, 'flash-lite+json', name, 'ratio_to_alone', 'ratio_to_no_log');
    assert.ok(rows.some(({ metric }) => metric === 'server_kib_per_connection'));
    assert.ok(!rows.some(({ subject, metric }) => subject === 'flash-lite' && metric === 'ratio_to_no_log'));
  });

  it('measures HTTPS beside nginx, for there is no bare server with TLS; with --close each request has its handshake', function () {
    if (!hasOpenssl || !existsSync('/usr/include/openssl/ssl.h')) this.skip();
    const rows = rowsOf('--tls', '--sizes', '1KiB', '--close', '--only', 'flash-lite');
    assertPositive(rows, 'flash-lite', '1KiB close, TLS', 'cpu_us_per_request');
    if (hasCommand('nginx')) assertPositive(rows, 'flash-lite', '1KiB close, TLS', 'ratio_to_nginx');
    assert.ok(!rows.some(({ subject, metric }) => subject === 'bare' || metric === 'ratio_to_bare'));
  });

  it('refuses what it cannot measure', () => {
    for (const [args, message] of [
      [['--sizes', '0'], /'0' is no size/], [['--only', 'x'], /no subject 'x'/], [['--mix', '--sizes', '1KiB'], /leave out --sizes/],
      [['--idle', '5', '--slow-readers', '5'], /--slow-readers and --idle: one of them/], [['--load', 'wrk', '--mix'], /need --load own/],
      [['--tls', '--only', 'express'], /no subject 'express'/], [['--tls', '--slow-connections', '5'], /leave out --tls/],
    ] as const) {
      const { status, stderr } = bench(...args);
      assert.equal(status, 2);
      assert.match(stderr, message);
    }
  });
});
