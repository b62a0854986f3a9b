/** The examples of README.md are programs: each runs here as it stands, as a user's module would. */
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const root = path.join(__dirname, '..');
const readme = readFileSync(path.join(root, 'README.md'), 'utf8');
const examples = [...readme.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match) => match[1]!);

/** What each example prints: its last lines. */
const expectations = [
  /\ntrue\n1 \{/,
  /^hellohello 2\n$/,
  /^POST \/ HTTP\/1\.1\nname: io-lite\nlevel: high\n\nbody 98 \d+\n$/,
  /^200 true\n$/,
  /^made in the child with a note\n$/,
];

describe('README.md', () => {
  let folder: string;
  before(() => {
    // Below the package, so that `io-lite` resolves to it by name, as an installed copy would.
    folder = mkdtempSync(path.join(root, 'build', 'readme-'));
    symlinkSync(path.join(root, 'README.md'), path.join(folder, 'README.md'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('has as many examples as this test expects', () => {
    assert.equal(examples.length, expectations.length);
  });

  for (const [index, expected] of expectations.entries()) {
    it(`example ${index + 1} runs as it stands`, function () {
      this.timeout(60_000);
      const file = path.join(folder, `example-${index + 1}.mts`);
      writeFileSync(file, examples[index]!);
      const ran = spawnSync(process.execPath, ['--import=tsx', file], { cwd: folder, encoding: 'utf8' });
      assert.equal(ran.status, 0, ran.stderr);
      assert.match(ran.stdout, expected);
      assert.doesNotMatch(ran.stderr, /leak/i);
    });
  }
});
