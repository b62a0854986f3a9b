/** docs/format.md says what the compiler says, and a change on either side is noticed. */
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const root = path.join(__dirname, '..');

function check(tree: string): { status: number | null; stderr: string } {
  const script = path.join(root, 'scripts/generate-format.mjs');
  return spawnSync(process.execPath, [script, '--check', '--root', tree], { encoding: 'utf8' });
}

describe('docs/format.md', function () {
  this.timeout(60_000);
  let tree: string;
  before(() => {
    tree = mkdtempSync(path.join(tmpdir(), 'io-lite-format-test-'));
  });
  after(() => rmSync(tree, { recursive: true, force: true }));

  function edited(file: string, from: string, to: string): { status: number | null; stderr: string } {
    for (const folder of ['src-native', 'docs', 'lib']) {
      cpSync(path.join(root, folder), path.join(tree, folder), { recursive: true });
    }
    const text = readFileSync(path.join(tree, file), 'utf8');
    assert.ok(text.includes(from), `${file} has no ${from}`);
    writeFileSync(path.join(tree, file), text.replace(from, to));
    return check(tree);
  }

  it('is what the headers say', () => {
    const { status, stderr } = check(root);
    assert.equal(status, 0, stderr);
  });

  it('is stale when the page has another offset', () => {
    const { status, stderr } = edited('docs/format.md', '| 24 | 8 | `totalBytes` |', '| 32 | 8 | `totalBytes` |');
    assert.equal(status, 1);
    assert.match(stderr, /stale/);
  });

  it('is stale when two fields change places', () => {
    const { status, stderr } = edited(
      'src-native/channel/ring_layout.h',
      'uint32_t writerSlot;  // The domain that writes this memory, and the one at the other end.\n  uint32_t writerEpoch;',
      'uint32_t writerEpoch;\n  uint32_t writerSlot;',
    );
    assert.equal(status, 1);
    assert.match(stderr, /stale/);
  });

  it('misses the meaning of a field that is new', () => {
    const { status, stderr } = edited(
      'src-native/window/layout.h', 'uint32_t pool;', 'uint32_t colour;',
    );
    assert.equal(status, 1);
    assert.match(stderr, /SegmentHeader: say what colour means/);
  });

  it('misses a constant and a struct that are new', () => {
    const { status, stderr } = edited(
      'src-native/window/layout.h', 'constexpr uint32_t kFormat', 'struct Colour {\n  uint32_t red;\n};\nconstexpr uint32_t kColours = 3;\nconstexpr uint32_t kFormat',
    );
    assert.equal(status, 1);
    assert.match(stderr, /say what kColours means/);
    assert.match(stderr, /struct Colour is missing/);
  });
});
