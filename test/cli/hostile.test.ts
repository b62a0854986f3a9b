/** Memory that makes no sense, as a broken or hostile process may leave it: never a failure here. */
import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { domainsTable, holdsTable, incidentsTable, poolsTable, summary } from '../../lib/cli/views';
import { WindowView } from '../../lib/inspect/window-view';
import {
  kBlockMagic, kByteOrder, kFactsIncidentsOffset, kFactsMagic, kFormat, kHoldTableMagic, kHostFactsMagic, kReceiverMagic,
  kSegmentMagic, kSenderMagic, layouts,
} from '../../lib/layout.generated';

const magics = [
  kSegmentMagic, kHoldTableMagic, kFactsMagic, kHostFactsMagic, kBlockMagic, kSenderMagic, kReceiverMagic,
];
const plain = { isRaw: false, hasColour: false, columns: 120 };

describe('iol: rubbish', function () {
  this.timeout(60_000);
  let folder: string;
  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'io-lite-rubbish-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  // A file is opened, compared and read as a memfd is.
  function add(view: WindowView, name: string, bytes: Buffer): void {
    const file = path.join(folder, name);
    writeFileSync(file, bytes);
    const memory = {
      kind: 'segment', inode: statSync(file).ino, byteLength: bytes.length, allocatedBytes: 4096,
      places: [{ pid: process.pid, path: file }],
    };
    const head = Buffer.alloc(4096);
    bytes.copy(head);
    view.add(memory, head);
  }

  it('of every kind is reported on, whatever is behind its first words', () => {
    const words = fc.array(
      fc.oneof(fc.constantFrom(0, 1, 2, 64, 1024, 0x7fffffff, 0xffffffff), fc.nat(0xffffffff)),
      { minLength: 8, maxLength: 1100 },
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...magics), words), { minLength: 1, maxLength: 5 }), (pieces) => {
        const view = new WindowView('00000000000000ff');
        for (const [index, [magic, rest]] of pieces.entries()) {
          const bytes = Buffer.from(new Uint32Array([0, 0, kFormat, kByteOrder, 0xff, 0, ...rest]).buffer);
          bytes.writeBigUInt64LE(magic, 0);
          assert.equal(WindowView.idIn(bytes), '00000000000000ff');
          add(view, String(index), bytes);
        }
        const report = view.report();
        JSON.stringify(report);
        for (const show of [summary, domainsTable, poolsTable, holdsTable, incidentsTable]) {
          const text = show(report, plain);
          // eslint-disable-next-line no-control-regex
          assert.ok(!/[\x00-\x09\x0b-\x1f\x7f]/.test(text), 'nothing that a terminal would obey');
        }
      }),
      { numRuns: 100, seed: 4 },
    );
  });

  it('of incidents: times that no calendar has, kinds and codes that nobody knows', () => {
    const view = new WindowView('00000000000000ff');
    const bytes = Buffer.alloc(kFactsIncidentsOffset + 3 * layouts.Incident.bytes, 0xff);
    bytes.fill(0, 0, 4096);
    bytes.writeBigUInt64LE(kFactsMagic, 0);
    bytes.writeUInt32LE(kFormat, layouts.DomainFacts.format[0]);
    for (let index = 0; index < 3; index++) {
      const kind = kFactsIncidentsOffset + index * layouts.Incident.bytes + layouts.Incident.kind[0];
      bytes.writeUInt32LE(index + 1, kind);
    }
    add(view, 'incidents', bytes);
    const report = view.report();
    assert.deepEqual(report.incidents.map(({ kind, code }) => [kind, code]), [['cut', null], ['turned-away', null], ['denied', null]]);
    assert.match(incidentsTable(report, plain), /^- +cut /m);
  });

  it('of another format is counted, not read', () => {
    const view = new WindowView('00000000000000ff');
    const bytes = Buffer.alloc(4096);
    bytes.writeBigUInt64LE(kSegmentMagic, 0);
    bytes.writeUInt32LE(kFormat + 1, 8);
    add(view, 'other', bytes);
    const report = view.report();
    assert.deepEqual([report.format, report.allocatedBytes, report.pools.length], [kFormat + 1, 4096, 0]);
  });
});
