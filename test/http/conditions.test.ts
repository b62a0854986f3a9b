// Preconditions, ranges and dates as functions.
import assert from 'node:assert/strict';

import { allowsRange, evaluateConditions, formatHttpDate, parseHttpDate, parseRange } from 'io-lite/http';

const date = 'Sun, 06 Nov 1994 08:49:37 GMT';
const later = 'Sun, 06 Nov 1994 08:49:38 GMT';

describe('conditions of a request', () => {
  const strong = { etag: '"a"', lastModified: date };
  const weak = { etag: 'W/"a"', lastModified: date };
  const table: [Record<string, string>, { etag?: string; lastModified?: string }, string][] = [
    [{}, strong, 'send'],
    [{ 'if-none-match': '"b", W/"a"' }, strong, 'not-modified'],
    [{ 'if-none-match': '"a"' }, weak, 'not-modified'],
    [{ 'if-none-match': '*' }, {}, 'not-modified'],
    [{ 'if-none-match': 'a' }, strong, 'send'],
    [{ 'if-none-match': '"a" "b"' }, strong, 'send'],
    [{ 'if-none-match': '"b"', 'if-modified-since': date }, strong, 'send'],
    [{ 'if-modified-since': date }, strong, 'not-modified'],
    [{ 'if-modified-since': 'Sunday, 06-Nov-94 08:49:37 GMT' }, strong, 'not-modified'],
    [{ 'if-modified-since': 'Sun Nov  6 08:49:36 1994' }, strong, 'send'],
    [{ 'if-modified-since': '2099-01-01' }, strong, 'send'],
    [{ 'if-match': '"a"' }, strong, 'send'],
    [{ 'if-match': 'W/"a"' }, strong, 'failed'],
    [{ 'if-match': 'W/"a"' }, weak, 'failed'],
    [{ 'if-match': '"b"', 'if-unmodified-since': later }, strong, 'failed'],
    [{ 'if-unmodified-since': 'Sun, 06 Nov 1994 08:49:36 GMT' }, strong, 'failed'],
    [{ 'if-unmodified-since': date, 'if-none-match': '"a"' }, strong, 'not-modified'],
  ];
  for (const [headers, validators, verdict] of table) {
    it(`${JSON.stringify(headers)} of ${validators.etag}: ${verdict}`, () => {
      assert.equal(evaluateConditions((name) => headers[name], validators), verdict);
    });
  }

  it('a list of tags that is mostly white space is looked through once', () => {
    // For each blank once more, that would be hours: mocha's timeout is what fails.
    const list = `"a",${' '.repeat(4_000_000)}x`;
    assert.equal(evaluateConditions((name) => (name === 'if-none-match' ? list : undefined), { etag: '"b"' }), 'send');
  });

  it('let a range be only of the very version, by a strong tag', () => {
    const of = (ifRange: string, etag: string): boolean =>
      allowsRange((name) => (name === 'if-range' ? ifRange : undefined), { etag, lastModified: date });
    assert.deepEqual([of('"a"', '"a"'), of('"a"', '"b"'), of('W/"a"', 'W/"a"'), of(date, '"a"')],
      [true, false, false, false]);
  });
});

describe('ranges of a request', () => {
  const at = (offset: number, length: number): object => ({ offset, length });
  const table: [string, unknown][] = [
    ['bytes=0-9', [at(0, 10)]],
    ['Bytes= 5-', [at(5, 95)]],
    ['bytes=-5', [at(95, 5)]],
    ['bytes=-500', [at(0, 100)]],
    ['bytes=90-99999999999999999999999', [at(90, 10)]],
    ['bytes=50-59, 0-9,60-69', [at(50, 20), at(0, 10)]],
    ['bytes=90-,30-39,0-9,31-50', [at(90, 10), at(30, 21), at(0, 10)]],
    ['bytes=70-79,0-9,40-49,10-39', [at(70, 10), at(0, 50)]],
    ['bytes=80-89,0-9,40-49,5-85', [at(0, 90)]],
    ['bytes=20-29,18-18', [at(20, 10), at(18, 1)]],
    ['bytes=0-1,,4-5', [at(0, 2), at(4, 2)]],
    ['bytes=, 4-5 ,\t,', [at(4, 2)]],
    ['bytes=,100-,', 'unsatisfiable'],
    ['bytes=,', 'ignored'],
    ['bytes=0-1,4 -5', 'ignored'],
    ['bytes=0-50,20-99,200-', [at(0, 100)]],
    ['bytes=100-', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=9-0', 'ignored'],
    ['bytes=-', 'ignored'],
    ['bytes=', 'ignored'],
    ['bytes=0-9,x', 'ignored'],
    ['lines=0-9', 'ignored'],
    [`bytes=${'0-0,'.repeat(63)}1-1`, [at(0, 2)]],
    [`bytes=${'0-0,'.repeat(64)}1-1`, 'ignored'],
  ];
  for (const [text, wanted] of table) {
    it(text, () => assert.deepEqual(parseRange(text, 100), wanted));
  }

  it('of nothing', () => {
    assert.equal(parseRange('bytes=0-', 0), 'unsatisfiable');
    assert.equal(parseRange('bytes=-1', 0), 'ignored');
  });
});

describe('HTTP dates', () => {
  it('are read back as they were written, and nothing else is one', () => {
    assert.equal(parseHttpDate(formatHttpDate(784_111_777_999)), 784_111_777_000);
    for (const text of ['', '1', '1994-11-06', `${date} `, date.replace('06', '32'), date.replace('08', '24')]) {
      assert.equal(parseHttpDate(text), undefined, text);
    }
  });
});
