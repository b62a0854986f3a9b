// The head parser by itself. What it accepts and refuses is in the tables of this folder (head_table_test).
import assert from 'node:assert/strict';

import { Aggregate } from 'io-lite';
import { HttpHeadParser, type HttpRequestHead } from 'io-lite/http';

import { checkHolds, copiesDuring } from '../support/holds';

const text = 'POST /a%20b?x=1 HTTP/1.1\r\nHost: h:1\r\nX-Y: z\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n';

describe('HttpHeadParser', () => {
  checkHolds();

  it('takes a head from what was received, and leaves body and next head', () => {
    const parser = new HttpHeadParser();
    using received = Aggregate.from(text, 'bodyGET * HTTP/1.0\r\n\r\n');
    const head = parser.parse(received)!;
    assert.deepEqual(head, {
      method: 'POST', target: '/a%20b?x=1', targetForm: 'origin', authority: 'h:1', path: '/a%20b', query: 'x=1',
      versionMinor: 1, rawHeaders: ['Host', 'h:1', 'X-Y', 'z', 'Expect', '100-continue', 'Content-Length', '4'],
      isKeepAlive: true, isChunked: false, contentLength: 4, expectation: '100-continue', byteLength: text.length,
    });
    assert.equal(received.toString('latin1', 0, 4), 'body');
    received.consume(head.contentLength);
    assert.throws(() => parser.parse(received), { code: 'ERR_IOL_BAD_HEAD', reason: 'BadTarget', status: 400 });
  });

  it('reads the same however the bytes arrive', () => {
    const whole = new HttpHeadParser();
    using all = Aggregate.from(text);
    const wanted = whole.parse(all);
    const parser = new HttpHeadParser();
    using received = Aggregate.empty();
    let head: HttpRequestHead | null = null;
    for (const byte of text) {
      assert.equal(head, null);
      received.append(byte);
      head = parser.parse(received);
    }
    assert.deepEqual(head, wanted);
    assert.equal(received.byteLength, 0);
  });

  it('copies nothing but the strings that it gives', () => {
    const parser = new HttpHeadParser();
    using received = Aggregate.from(text, Buffer.alloc(100_000));
    const copies = copiesDuring(() => parser.parse(received));
    assert.deepEqual(Object.keys(copies), ['head']);
    assert.ok(copies['head']! < 2 * text.length);
  });

  it('refuses with reason and status, again until reset, and keeps to its limits', () => {
    const parser = new HttpHeadParser({ headBytesMax: 256, targetBytesMax: 10, headerFieldsMax: 2 });
    const refusedAs = (bytes: string, reason: string, status: number): void => {
      using received = Aggregate.from(bytes);
      for (let time = 0; time < 2; time++) {
        assert.throws(() => parser.parse(received), { code: 'ERR_IOL_BAD_HEAD', reason, status });
      }
      assert.equal(received.byteLength, bytes.length, 'nothing was taken');
      parser.reset();
    };
    refusedAs('GET / HTTP/1.1\n', 'BareLf', 400);
    refusedAs('GET / HTTP/3.0\r\n', 'VersionNotSupported', 505);
    refusedAs('GET /0123456789 HTTP/1.1\r\n', 'TargetTooLong', 414);
    refusedAs('GET / HTTP/1.1\r\nA: b\r\nC: d\r\nE: f\r\n\r\n', 'TooManyFields', 431);
    refusedAs(`GET / HTTP/1.1\r\nHost: a\r\nX: ${'y'.repeat(300)}`, 'HeadTooLarge', 431);
    using good = Aggregate.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.equal(parser.parse(good)!.path, '/');
  });

  it('refuses what it cannot take', () => {
    assert.throws(() => new HttpHeadParser({ headBytesMax: 1 }), { code: 'ERR_OUT_OF_RANGE' });
    const parser = new HttpHeadParser();
    assert.throws(() => parser.parse('GET' as unknown as Aggregate), { code: 'ERR_INVALID_ARG_TYPE' });
    const released = Aggregate.from('x');
    released.dispose();
    assert.throws(() => parser.parse(released), { code: 'ERR_IOL_CLOSED' });
  });
});
