/** The blocks of docs/ are programs, and print what their comments say; CAVEATS.md has a table. */
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { Aggregate } from 'io-lite';

const root = path.join(__dirname, '..');
const docs = path.join(root, 'docs');
const pages = readdirSync(docs).filter((name) => name.endsWith('.md'));
const textOf = (name: string): string => readFileSync(path.join(docs, name), 'utf8');

function blocksOf(name: string): string[] {
  return [...textOf(name).matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match) => match[1]!);
}

describe('docs/', function () {
  this.timeout(60_000);
  let folder: string;
  before(() => {
    // Below the package, so that `io-lite` resolves to it by name, as an installed copy would.
    folder = mkdtempSync(path.join(root, 'build', 'docs-'));
    symlinkSync(path.join(root, 'README.md'), path.join(folder, 'README.md'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('coming-from.md has a block for each place that one comes from, and for each recipe', () => {
    assert.equal(blocksOf('coming-from.md').length, 9);
    for (const block of blocksOf('coming-from.md')) assert.match(block, /\/\/ +=> /);
  });

  it('coming-from.md names only methods that there are', () => {
    const names = [...textOf('coming-from.md').matchAll(/\ba\.(\w+)/g)].map((match) => match[1]!);
    assert.ok(names.length > 10, `${names.length} are named`);
    assert.deepEqual(names.filter((name) => !(name in Aggregate.prototype)), []);
  });

  for (const page of pages) {
    for (const [index, block] of blocksOf(page).entries()) {
      it(`${page}: block ${index + 1} runs as it stands`, () => {
        const expected = [...block.matchAll(/\/\/ +=> (.*)$/gm)].map((match) => match[1]!);
        const file = path.join(folder, `${page}-${index + 1}.mts`);
        writeFileSync(file, block);
        const ran = spawnSync(process.execPath, ['--import=tsx', file], { cwd: folder, encoding: 'utf8' });
        assert.equal(ran.status, 0, ran.stderr);
        // The callback of a stream comes when it comes: the order does not matter.
        if (expected.length > 0) assert.deepEqual(ran.stdout.trim().split('\n').sort(), expected.sort());
        assert.doesNotMatch(ran.stderr, /leak/i);
      });
    }
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
