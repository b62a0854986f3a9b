// A few seconds of what `npm run torture:http` does for as long as one likes.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';

describe('Flash-Lite under bad requests', () => {
  it('answers every good one, each bad one as it should, and keeps nothing', function () {
    this.timeout(120_000);
    const seed = Number(process.env['IOL_SEED'] ?? Date.now() % 1_000_000);
    const program = path.join(__dirname, 'http.ts');
    const args = ['--import', 'tsx', program, '--seed', String(seed), '--seconds', '3', '--rate', '1000'];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 110_000 });
    console.log(`      ${stdout.trim().split('\n').at(-1)}`);
    assert.equal(status, 0, `seed ${seed}\n${stdout}\n${stderr}`);
  });
});
