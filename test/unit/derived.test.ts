// Checksums and digests of bytes: right for every arrangement of slices, and computed once.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';

import fc from 'fast-check';
import { Aggregate, crc32c, internetChecksum, sha256, stats } from 'io-lite';

import { checkHolds, copiesDuring } from '../support/holds';

const computedBy = (work: () => void): { computed: number; reused: number } => {
  const before = stats().derived;
  work();
  const after = stats().derived;
  return { computed: after.computed - before.computed, reused: after.reused - before.reused };
};

/** RFC 1071, word by word. */
function plainChecksum(bytes: Uint8Array): number {
  let sum = 0;
  bytes.forEach((byte, i) => {
    sum += i % 2 === 0 ? byte << 8 : byte;
    sum = (sum & 0xffff) + (sum >>> 16);
  });
  return ~sum & 0xffff;
}

/** RFC 3720, bit by bit. */
function plainCrc(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) !== 0 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

describe('derived values', () => {
  checkHolds();

  it('are those of the RFCs', () => {
    assert.equal(crc32c('123456789'), 0xe306_9283);
    assert.equal(crc32c(new Uint8Array(32)), 0x8a91_36aa);
    assert.equal(internetChecksum(Buffer.from('0001f203f4f5f6f7', 'hex')), 0x220d);
    // The header of an IPv4 packet with its checksum, b861, in it.
    const header = Buffer.from('45000073000040004011b861c0a80001c0a800c7', 'hex');
    assert.equal(internetChecksum(header), 0);
    assert.equal(internetChecksum(header.fill(0, 10, 12)), 0xb861);
    assert.equal(sha256('abc').toString('hex').slice(0, 16), 'ba7816bf8f01cfea');
    assert.equal(internetChecksum(''), 0xffff);
    assert.equal(crc32c(''), 0);
    using nothing = Aggregate.empty();
    assert.equal(internetChecksum(nothing), 0xffff);
    assert.equal(crc32c(nothing), 0);
    assert.deepEqual(sha256(nothing), createHash('sha256').digest());
  });

  it('are the same for bytes, text, a buffer and an aggregate', () => {
    const text = 'grüße '.repeat(3000);
    using aggregate = Aggregate.from(text);
    const bytes = Buffer.from(text);
    for (const value of [text, bytes, aggregate]) {
      assert.equal(internetChecksum(value), plainChecksum(bytes));
      assert.equal(crc32c(value), plainCrc(bytes));
      assert.deepEqual(sha256(value), createHash('sha256').update(bytes).digest());
    }
  });

  it('are computed once per slice, whatever aggregate it is in, and copy nothing', () => {
    using shared = Aggregate.from(randomBytes(50_001));
    using other = Aggregate.from(randomBytes(7_001));
    using one = Aggregate.from(shared, other);
    using two = Aggregate.from(other, shared);
    const twoBytes = two.toBuffer();
    for (const value of [internetChecksum, crc32c]) {
      const copied = copiesDuring(() => {
        assert.deepEqual(computedBy(() => value(one)), { computed: 2, reused: 0 });
        assert.deepEqual(computedBy(() => value(two)), { computed: 0, reused: 2 });
        assert.deepEqual(computedBy(() => value(shared)), { computed: 0, reused: 1 });
      });
      assert.deepEqual(copied, {});
      assert.equal(value(two), value(twoBytes));
    }
  });

  it('a digest is computed once per list of slices, and is the caller\'s own', () => {
    using head = Aggregate.from(randomBytes(100));
    using body = Aggregate.from(randomBytes(100_000));
    using whole = Aggregate.from(head, body);
    const expected = createHash('sha256').update(whole.toBuffer()).digest();
    assert.deepEqual(computedBy(() => sha256(whole)), { computed: 1, reused: 0 });
    using same = whole.clone();
    const digest = sha256(same);
    assert.deepEqual(digest, expected);
    digest.fill(0);
    assert.deepEqual(computedBy(() => assert.deepEqual(sha256(same), expected)), {
      computed: 0, reused: 1,
    });
    same.append('x');
    assert.notDeepEqual(sha256(same), expected);
  });

  it('go with the bytes', () => {
    const before = stats().derived.entries;
    const bytes = Aggregate.from(randomBytes(20_000));
    crc32c(bytes);
    internetChecksum(bytes);
    sha256(bytes);
    const clone = bytes.clone();
    bytes.dispose();
    assert.equal(stats().derived.entries, before + 3);
    clone.dispose();
    assert.equal(stats().derived.entries, before);
  });

  it('refuse what has no bytes, and what was released', () => {
    const released = Aggregate.from('x');
    released.dispose();
    for (const value of [internetChecksum, crc32c, sha256]) {
      assert.throws(() => value(released), { code: 'ERR_IOL_CLOSED' });
      assert.throws(() => value(7 as never), { code: 'ERR_INVALID_ARG_TYPE' });
      assert.throws(() => value(undefined as never), { code: 'ERR_INVALID_ARG_TYPE' });
    }
  });

  it('random arrangements have the values of their bytes', () => {
    const content = randomBytes(60_000);
    using large = Aggregate.from(content);
    const range = fc.record({ from: fc.nat(60_000), length: fc.nat(30_000) });
    fc.assert(
      fc.property(fc.array(range, { maxLength: 6 }), (ranges) => {
        using bytes = Aggregate.empty();
        for (const { from, length } of ranges) {
          using part = large.slice(from, Math.min(60_000, from + length));
          bytes.append(part);
        }
        const plain = bytes.toBuffer();
        assert.equal(internetChecksum(bytes), plainChecksum(plain));
        assert.equal(crc32c(bytes), crc32c(plain));
        assert.deepEqual(sha256(bytes), createHash('sha256').update(plain).digest());
      }),
      { numRuns: 40 },
    );
  });
});
