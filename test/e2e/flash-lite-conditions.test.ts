// Preconditions and ranges (RFC 9110 sections 13 and 14) as tables.
import assert from 'node:assert/strict';
import { utimesSync } from 'node:fs';

import { get } from './support/client';
import { start, stop, stopPrograms, type Server } from './support/flash-lite';
import { Tree, patterned } from './support/tree';

describe('Flash-Lite: preconditions and ranges', () => {
  type Headers = Record<string, string>;

  const kModified = 'Sat, 05 Apr 2025 06:07:08 GMT';
  const big = patterned(6_000_000, 3);
  let tree: Tree;
  let server: Server;
  let etag = '';

  before(async () => {
    tree = new Tree({ 'digits.txt': '0123456789', 'empty.txt': '', 'big.bin': big, 'future.txt': 'f' });
    const time = Date.parse(kModified) / 1000 + 0.7;
    for (const name of ['digits.txt', 'empty.txt']) utimesSync(tree.path(name), time, time);
    utimesSync(tree.path('future.txt'), 2 ** 33, 2 ** 33);
    server = await start(tree.root);
    etag = (await get(server, '/digits.txt')).headers.etag as string;
  });

  after(async () => {
    await stop(server);
    await stopPrograms();
    tree.remove();
  });

  const fill = (headers: Headers): Headers =>
    Object.fromEntries(Object.entries(headers).map(([name, value]) =>
      [name, value.replace('ETAG', etag).replace('UNQUOTED', etag.slice(1, -1))]));

  describe('preconditions', () => {
    const kBefore = 'Sat, 05 Apr 2025 06:07:07 GMT';
    const kAfter = 'Sat, 05 Apr 2025 06:07:09 GMT';
    const cases: [headers: Headers, status: number][] = [
      [{ 'If-None-Match': 'ETAG' }, 304],
      [{ 'If-None-Match': 'W/ETAG' }, 304],
      [{ 'If-None-Match': '*' }, 304],
      [{ 'If-None-Match': '"a", "b" ,ETAG' }, 304],
      [{ 'If-None-Match': '"a,b", W/ETAG, "c"' }, 304],
      [{ 'If-None-Match': ',, ETAG' }, 304],
      [{ 'If-None-Match': '"a"' }, 200],
      [{ 'If-None-Match': '"a", "b"' }, 200],
      [{ 'If-None-Match': 'w/ETAG' }, 200],
      [{ 'If-None-Match': 'x ETAG' }, 200],
      [{ 'If-None-Match': '' }, 200],
      [{ 'If-None-Match': '"*"' }, 200],
      [{ 'If-None-Match': 'UNQUOTED' }, 200],
      [{ 'If-None-Match': '"UNQUOTED' }, 200],
      [{ 'If-None-Match': 'W/"12345", ETAG' }, 304],
      [{ 'If-None-Match': '"12345",, ,,  ,  ETAG' }, 304],
      [{ 'If-None-Match': '"12345", ETAG, "no end' }, 200],
      [{ 'If-Modified-Since': kModified }, 304],
      [{ 'If-Modified-Since': kAfter }, 304],
      [{ 'If-Modified-Since': kBefore }, 200],
      [{ 'If-Modified-Since': 'Saturday, 05-Apr-25 06:07:08 GMT' }, 304],
      [{ 'If-Modified-Since': 'Sat Apr  5 06:07:08 2025' }, 304],
      [{ 'If-Modified-Since': 'Sat Apr  5 06:07:07 2025' }, 200],
      [{ 'If-Modified-Since': '2025-04-05T06:07:08Z' }, 200],
      [{ 'If-Modified-Since': 'Sat, 35 Apr 2025 06:07:08 GMT' }, 200],
      [{ 'If-Modified-Since': 'yesterday' }, 200],
      [{ 'If-Modified-Since': '' }, 200],
      [{ 'If-Modified-Since': `${kAfter}; length=10` }, 200],
      [{ 'If-Modified-Since': 'Tue, 19 Jan 2038 03:14:07 GMT' }, 304],
      [{ 'If-Modified-Since': 'Tue, 19 Jan 2038 03:14:08 GMT' }, 304],
      [{ 'If-Modified-Since': 'Fri, 25 Feb 2174 09:42:23 GMT' }, 304],
      [{ 'If-Modified-Since2': kBefore, 'If-Modified-Since': kModified }, 304],
      [{ 'If-None-Match': 'ETAG', 'If-Modified-Since': `${kBefore} and more` }, 304],
      [{ 'If-None-Match': '"a"', 'If-Modified-Since': kModified }, 200],
      [{ 'If-None-Match': 'ETAG', 'If-Modified-Since': kBefore }, 304],
      [{ 'If-Match': 'ETAG' }, 200],
      [{ 'If-Match': '"a", ETAG' }, 200],
      [{ 'If-Match': '"a", "b", \tETAG , "c"' }, 200],
      [{ 'If-Match': '*' }, 200],
      [{ 'If-Match': 'W/ETAG' }, 412],
      [{ 'If-Match': '"a"' }, 412],
      [{ 'If-Match': '"a"', 'If-None-Match': 'ETAG' }, 412],
      [{ 'If-Unmodified-Since': kModified }, 200],
      [{ 'If-Unmodified-Since': kBefore }, 412],
      [{ 'If-Unmodified-Since': 'nonsense' }, 200],
      [{ 'If-Match': 'ETAG', 'If-Unmodified-Since': kBefore }, 200],
    ];
    for (const [headers, status] of cases) {
      it(`${JSON.stringify(headers)} is ${status}`, async () => {
        for (const method of ['GET', 'HEAD']) {
          const answer = await get(server, '/digits.txt', { method, headers: fill(headers) });
          assert.equal(answer.status, status);
          const isWhole = status === 200 && method === 'GET';
          if (status !== 412) assert.equal(answer.body.toString(), isWhole ? '0123456789' : '');
        }
      });
    }

    it('a 304 carries the validators and no length or type', async () => {
      const { headers } = await get(server, '/digits.txt', { headers: { 'If-None-Match': etag } });
      assert.equal(headers.etag, etag);
      assert.equal(headers['last-modified'], kModified);
      assert.equal(headers['content-length'], undefined);
      assert.equal(headers['content-type'], undefined);
    });

    it('what is not there is 404 whatever the preconditions are', async () => {
      for (const headers of [{ 'If-Match': '"a"' }, { 'If-None-Match': '*' }, { 'If-Unmodified-Since': kBefore }]) {
        assert.equal((await get(server, '/none.txt', { headers })).status, 404);
      }
    });

    it('a file from the future has no Last-Modified', async () => {
      const { status, headers } = await get(server, '/future.txt', {
        headers: { 'If-Modified-Since': 'Fri, 01 Jan 2400 00:00:00 GMT' },
      });
      assert.equal(status, 200);
      assert.equal(headers['last-modified'], undefined);
    });
  });

  describe('ranges', () => {
    const satisfied: [range: string, contentRange: string, body: string][] = [
      ['bytes=0-0', 'bytes 0-0/10', '0'],
      ['bytes=2-5', 'bytes 2-5/10', '2345'],
      ['bytes=0-9', 'bytes 0-9/10', '0123456789'],
      ['bytes=7-', 'bytes 7-9/10', '789'],
      ['bytes=7-1000', 'bytes 7-9/10', '789'],
      [`bytes=9-${'9'.repeat(50)}`, 'bytes 9-9/10', '9'],
      ['bytes=-3', 'bytes 7-9/10', '789'],
      ['bytes=-100', 'bytes 0-9/10', '0123456789'],
      ['Bytes=1-1', 'bytes 1-1/10', '1'],
    ];
    for (const [range, contentRange, body] of satisfied) {
      it(`${range.slice(0, 20)} is 206 ${contentRange}`, async () => {
        const answer = await get(server, '/digits.txt', { headers: { Range: range } });
        assert.equal(answer.status, 206);
        assert.equal(answer.headers['content-range'], contentRange);
        assert.equal(answer.headers['content-length'], String(body.length));
        assert.equal(answer.headers['content-type'], 'text/plain; charset=utf-8');
        assert.equal(answer.headers.etag, etag);
        assert.equal(answer.body.toString(), body);
      });
    }

    const ignored = [
      'bytes=', 'bytes=-', 'bytes=5-2', 'bytes=a-b', 'bytes=1-2,5-2', 'bytes=1-2,x', 'lines=1-2',
      'bytes 1-2', 'bytes=1', 'bytes=--1', 'bytes=+1-2', 'bytes=0x1-2', 'bytes=1-2;', 'nonsense', '',
      'bytes=0--', 'bytes=-2-3', 'bytes=1-2 4-', 'bytes=,', '0-3', 'bytes=99-110,5-2', 'bytes=1-2,7-1',
    ];
    for (const range of ignored) {
      it(`"${range}" is ignored`, async () => {
        const answer = await get(server, '/digits.txt', { headers: { Range: range } });
        assert.equal(answer.status, 200);
        assert.equal(answer.body.toString(), '0123456789');
      });
    }

    const several: [range: string, parts: [contentRange: string, body: string][]][] = [
      ['bytes=0-1,4-5', [['bytes 0-1/10', '01'], ['bytes 4-5/10', '45']]],
      ['bytes=0-0,-1', [['bytes 0-0/10', '0'], ['bytes 9-9/10', '9']]],
      ['bytes=0-1 , 5-,99-', [['bytes 0-1/10', '01'], ['bytes 5-9/10', '56789']]],
      ['bytes=0-1,1-2,6-7', [['bytes 0-2/10', '012'], ['bytes 6-7/10', '67']]],
    ];
    for (const [range, parts] of several) {
      it(`${range} is 206 with ${parts.length} parts`, async () => {
        const { status, headers, body } = await get(server, '/digits.txt', { headers: { Range: range } });
        assert.equal(status, 206);
        assert.equal(headers['content-range'], undefined);
        assert.equal(headers['content-length'], String(body.length));
        const [, boundary] = /^multipart\/byteranges; boundary=(.+)$/.exec(headers['content-type'] ?? '') ?? [];
        const expected = parts.map(([contentRange, bytes]) => `\r\n--${boundary}\r\n` +
          `Content-Type: text/plain; charset=utf-8\r\nContent-Range: ${contentRange}\r\n\r\n${bytes}`);
        assert.equal(body.toString(), `${expected.join('')}\r\n--${boundary}--\r\n`);
      });
    }

    it('ranges that overlap or touch are one', async () => {
      for (const range of ['bytes=0-4,2-5', 'bytes=0-2,3-5', 'bytes=3-5,0-3', `bytes=0-5${',1-2'.repeat(10)}`]) {
        const answer = await get(server, '/digits.txt', { headers: { Range: range } });
        assert.equal(answer.headers['content-range'], 'bytes 0-5/10');
        assert.equal(answer.body.toString(), '012345');
      }
    });

    it('whatever ranges are asked for, the parts are the bytes asked for, each of them once', async () => {
      let state = 7;
      const random = (below: number): number => {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        return Math.floor(state / 2 ** 32 * below);
      };
      for (let round = 0; round < 100; round++) {
        const size = [30, 300, big.length][round % 3]!;
        const asked = Array.from({ length: 1 + random(12) }, () => {
          const from = random(size);
          return [from, Math.min(from + random(20), big.length - 1)] as const;
        });
        const wanted = new Set(asked.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, i) => from + i)));
        const range = `bytes=${asked.map(([from, to]) => `${from}-${to}`).join(round % 2 === 0 ? ',' : ' ,\t')}`;
        const { status, headers, body } = await get(server, '/big.bin', { headers: { Range: range } });
        assert.equal(status, 206, range);
        assert.equal(headers['content-length'], String(body.length));
        const boundary = /^multipart\/byteranges; boundary=(.+)$/.exec(headers['content-type'] ?? '')?.[1];
        const sent: number[] = [];
        const take = (contentRange: string, bytes: Buffer): void => {
          const [from, to] = /^bytes (\d+)-(\d+)\/6000000$/.exec(contentRange)!.slice(1).map(Number) as [number, number];
          assert.ok(bytes.equals(big.subarray(from, to + 1)), `${range}: ${contentRange}`);
          for (let i = from; i <= to; i++) sent.push(i);
        };
        if (boundary === undefined) {
          take(headers['content-range']!, body);
        } else {
          const part = /^\r\n--(\S+)\r\nContent-Type: \S+\r\nContent-Range: (bytes (\d+)-(\d+)\/\d+)\r\n\r\n/;
          let rest = body;
          for (let head = part.exec(rest.toString('latin1')); head !== null; head = part.exec(rest.toString('latin1'))) {
            assert.equal(head[1], boundary);
            const end = head[0].length + Number(head[4]) - Number(head[3]) + 1;
            take(head[2]!, rest.subarray(head[0].length, end));
            rest = rest.subarray(end);
          }
          assert.equal(rest.toString(), `\r\n--${boundary}--\r\n`);
        }
        assert.equal(sent.length, wanted.size, range);
        assert.ok(sent.every((place) => wanted.has(place)), range);
      }
    });

    it('a file that is fetched range by range is the file', async () => {
      const parts: Buffer[] = [];
      for (let from = 0; from < big.length;) {
        // One byte more than a power of two, and past the end at last.
        const answer = await get(server, '/big.bin', { headers: { Range: `bytes=${from}-${from + 262_144}` } });
        assert.equal(answer.status, 206);
        const [, first, last] = /^bytes (\d+)-(\d+)\/6000000$/.exec(answer.headers['content-range'] ?? '') ?? [];
        assert.equal(Number(first), from);
        from = Number(last) + 1;
        parts.push(answer.body);
      }
      assert.ok(Buffer.concat(parts).equals(big));
    });

    it('two Range fields are one list, which is none', async () => {
      for (const Range of [['bytes=0-3', '0'], ['0', 'bytes=0-3'], ['bytes=0-1', 'bytes=4-5']]) {
        const answer = await get(server, '/digits.txt', { headers: { Range } });
        assert.deepEqual([answer.status, answer.body.toString()], [200, '0123456789']);
      }
    });

    it('64 ranges, which who updates a large file may ask for at once, are 64 parts', async () => {
      const range = `bytes=${Array.from({ length: 64 }, (_, i) => `${5000 * i}-${5000 * i + 9}`).join()}`;
      const { status, body } = await get(server, '/big.bin', { headers: { Range: range } });
      assert.equal(status, 206);
      assert.equal(body.toString('latin1').split('Content-Range: ').length, 65);
      assert.ok(body.includes(big.subarray(315_000, 315_010)));
    });

    it('more ranges than anybody needs are the whole file', async () => {
      const range = `bytes=${Array.from({ length: 1000 }, () => '0-0').join()}`;
      const answer = await get(server, '/digits.txt', { headers: { Range: range } });
      assert.equal(answer.status, 200);
      assert.equal(answer.body.toString(), '0123456789');
    });

    it('several ranges of a large file are its bytes, however many parts they are sent in', async () => {
      const answer = await get(server, '/big.bin', { headers: { Range: 'bytes=5-2999999,3500000-' } });
      assert.equal(answer.status, 206);
      assert.equal(answer.headers['content-length'], String(answer.body.length));
      const first = answer.body.indexOf('\r\n\r\n') + 4;
      assert.ok(answer.body.subarray(first, first + 2_999_995).equals(big.subarray(5, 3_000_000)));
      const second = answer.body.indexOf('\r\n\r\n', first + 2_999_995) + 4;
      assert.ok(answer.body.subarray(second, second + 2_500_000).equals(big.subarray(3_500_000)));
    });

    const unsatisfiable: [target: string, range: string, length: number][] = [
      ['/digits.txt', 'bytes=10-', 10], ['/digits.txt', 'bytes=10-20', 10], ['/digits.txt', 'bytes=-0', 10],
      ['/digits.txt', `bytes=${'9'.repeat(400)}-`, 10], ['/empty.txt', 'bytes=0-', 0],
    ];
    for (const [target, range, length] of unsatisfiable) {
      it(`${range.slice(0, 20)} of ${target} is 416`, async () => {
        const answer = await get(server, target, { headers: { Range: range } });
        assert.equal(answer.status, 416);
        assert.equal(answer.headers['content-range'], `bytes */${length}`);
        assert.equal(answer.headers['content-length'], String(answer.body.length));
      });
    }

    it('a suffix of an empty file is the empty file', async () => {
      const answer = await get(server, '/empty.txt', { headers: { Range: 'bytes=-5' } });
      assert.equal(answer.status, 200);
      assert.equal(answer.body.length, 0);
    });

    it('HEAD knows no ranges', async () => {
      const answer = await get(server, '/digits.txt', { method: 'HEAD', headers: { Range: 'bytes=0-1' } });
      assert.equal(answer.status, 200);
      assert.equal(answer.headers['content-length'], '10');
    });

    const conditional: [headers: Headers, status: number][] = [
      [{ 'If-Range': 'ETAG' }, 206],
      [{ 'If-Range': 'W/ETAG' }, 200],
      [{ 'If-Range': '"other"' }, 200],
      [{ 'If-Range': kModified }, 200],  // Not strong: two versions may share one second.
      [{ 'If-Range': 'Sat, 05 Apr 2025 06:07:09 GMT' }, 200],
      [{ 'If-Range': 'nonsense' }, 200],
      [{ 'If-None-Match': 'ETAG' }, 304],
      [{ 'If-None-Match': 'W/ETAG' }, 304],
      [{ 'If-Modified-Since': kModified }, 304],
      [{ 'If-Match': '"other"' }, 412],
      [{ 'If-Range': '' }, 200],
    ];
    for (const [headers, status] of conditional) {
      it(`with ${JSON.stringify(headers)} is ${status}`, async () => {
        const answer = await get(server, '/digits.txt', { headers: { Range: 'bytes=1-2', ...fill(headers) } });
        assert.equal(answer.status, status);
        if (status === 206) assert.equal(answer.body.toString(), '12');
      });
    }

    const ofBig: [from: number, to: number][] = [
      [0, 0], [1_048_575, 1_048_576], [1_000_000, 5_999_999], [4_194_303, 4_194_304], [5_999_999, 5_999_999],
    ];
    for (const [from, to] of ofBig) {
      it(`${from}-${to} of a large file are its bytes`, async () => {
        const answer = await get(server, '/big.bin', { headers: { Range: `bytes=${from}-${to}` } });
        assert.equal(answer.status, 206);
        assert.ok(answer.body.equals(big.subarray(from, to + 1)));
      });
    }
  });
});
