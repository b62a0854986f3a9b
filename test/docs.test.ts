/** The blocks of docs/coming-from.md are programs, and print what their comments say; CAVEATS.md has a table. */
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const root = path.join(__dirname, '..');
const page = readFileSync(path.join(root, 'docs', 'coming-from.md'), 'utf8');
const blocks = [...page.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match) => match[1]!);

describe('docs/coming-from.md', function () {
  this.timeout(60_000);
  let folder: string;
  before(() => {
    // Below the package, so that `io-lite` resolves to it by name, as an installed copy would.
    folder = mkdtempSync(path.join(root, 'build', 'docs-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('has a block for each place that one comes from, and for each recipe', () => {
    assert.equal(blocks.length, 8);
  });

  for (const [index, block] of blocks.entries()) {
    it(`block ${index + 1} runs as it stands`, () => {
      const expected = [...block.matchAll(/\/\/ +=> (.*)$/gm)].map((match) => match[1]!);
      assert.ok(expected.length > 0);
      const file = path.join(folder, `block-${index + 1}.mts`);
      writeFileSync(file, block);
      const ran = spawnSync(process.execPath, ['--import=tsx', file], { cwd: folder, encoding: 'utf8' });
      assert.equal(ran.status, 0, ran.stderr);
      // The callback of a stream comes when it comes: the order does not matter.
      assert.deepEqual(ran.stdout.trim().split('\n').sort(), expected.sort());
      assert.doesNotMatch(ran.stderr, /leak/i);
    });
  }
});

describe('CAVEATS.md', () => {
  const caveats = readFileSync(path.join(root, 'CAVEATS.md'), 'utf8');

  it('has each of its headings in the table at its top, and nothing else there', () => {
    const slugOf = (title: string): string => title.toLowerCase().replace(/[^\w\- ]/g, '').replaceAll(' ', '-');
    const headings = [...caveats.matchAll(/^## (.*)$/gm)].map(([, title]) => `${title}#${slugOf(title!)}`);
    const links = [...caveats.matchAll(/^- \[(.*)\]\((#.*?)\)/gm)].map(([, title, link]) => `${title}${link}`);
    assert.ok(headings.length > 4);
    assert.deepEqual(links, headings);
  });
});
