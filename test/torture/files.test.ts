// A few seconds of what `npm run torture:files` does for as long as one likes.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';

describe('files that change all the time', () => {
  it('are read as they were at one moment', function () {
    this.timeout(120_000);
    const seed = Number(process.env['IOL_SEED'] ?? Date.now() % 1_000_000);
    const options = ['--seconds', '5', '--files', '30', '--bytes', '1000000', '--window', `${128 * 2 ** 20}`];
    const program = path.join(__dirname, 'files.ts');
    const args = ['--import', 'tsx', program, '--seed', String(seed), ...options];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 110_000 });
    console.log(`      ${stdout.trim().split('\n').at(-1)}`);
    assert.equal(status, 0, `seed ${seed}\n${stdout}\n${stderr}`);
  });
});
