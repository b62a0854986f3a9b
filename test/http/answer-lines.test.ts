// The lines that HttpServer.takeAnswerLines gives: those that JavaScript would write of the records.
import assert from 'node:assert/strict';

import { stats } from 'io-lite';
import type { HttpAnswerRecord, HttpLogFormat } from 'io-lite/http';

import { answer, get, httpWorld, settled } from './http-world';

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

function clfTime(endedAt: number): string {
  const [, year, month, day, time] = /^(\d+)-(\d\d)-(\d\d)T([\d:]{8})/.exec(new Date(endedAt).toISOString())!;
  return `${day}/${months[Number(month) - 1]}/${year}:${time} +0000`;
}

const quoted = (text: string): string => text.replace(/[^ !#-[\]-~]/g, (character) =>
  (/["\\]/.test(character) ? `\\${character}` : `\\x${Buffer.from(character, 'latin1').toString('hex')}`));

function common({ client, endedAt, method, target, versionMinor, status, bodyBytes }: HttpAnswerRecord): string {
  const request = method === '' ? '-' : `${method} ${quoted(target)} HTTP/1.${versionMinor}`;
  return `${client} - - [${clfTime(endedAt)}] "${request}" ${status || 499} ${bodyBytes || '-'}`;
}

const writers: Record<HttpLogFormat, (record: HttpAnswerRecord) => string> = {
  common,
  combined: (record) =>
    `${common(record)} "${quoted(record.referer) || '-'}" "${quoted(record.userAgent) || '-'}"`,
  json: ({ endedAt, status, ...rest }) =>
    JSON.stringify({ time: new Date(endedAt).toISOString(), status: status || 499, ...rest }),
};

/** The moment and how long it took are another request's. */
const timeless = (line: string): string => line
  .replace(/\[\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000\]/, '[]')
  .replace(/^\{"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z"/, '{')
  .replace(/"durationMs":\d+,/, '');

describe('HttpServer.takeAnswerLines', () => {
  const world = httpWorld();

  async function ask(requests: readonly Buffer[]): Promise<void> {
    for (const request of requests) {
      const peer = world.connect();
      peer.socket.write(request);
      await peer.untilClosed();
      peer.socket.destroy();
    }
  }
  async function taken<T>(take: () => readonly T[], count: number): Promise<T[]> {
    const all: T[] = [];
    await settled(() => {
      all.push(...take());
      return all.length >= count;
    });
    assert.equal(all.length, count);
    return all;
  }
  const lines = (): string[] => {
    const text = world.server.takeAnswerLines().toString();
    assert.ok(text === '' || text.endsWith('\n'));
    return text.split('\n').slice(0, -1);
  };

  const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const allowed = every.filter((byte) => byte === 9 || (byte >= 32 && byte !== 127));
  const request = (target: Uint8Array, value: Uint8Array): Buffer => Buffer.concat([
    Buffer.from('GET /'), target, Buffer.from(' HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUser-Agent: a'), value,
    Buffer.from('z\r\nrEFERER:\t'), value, Buffer.from('\r\n\r\n'),
  ]);
  const hostile = [
    ...Array.from(every, (byte) => request(Buffer.of(byte), Buffer.of(byte))),
    request(Buffer.from('all'), Buffer.from(allowed)),
    // No UTF-8: a lone continuation, a cut sequence, a surrogate, an overlong slash, beyond the last.
    ...['80', 'c328', 'e282', 'eda080', 'c0af', 'f5808080', 'fffe'].map((hex) => request(Buffer.of(), Buffer.from(hex, 'hex'))),
    request(Buffer.from('"\\"'), Buffer.from('</script>\u2028"\\u0041\\')),
    request(Buffer.from('?"}{"status":200,"x":"'), Buffer.from('"},{"')),
    // Over the borders of what is received at once.
    request(Buffer.alloc(4000, '/"\\<'), Buffer.concat([Buffer.alloc(5000, 'h\xe9 "', 'latin1'), Buffer.from(allowed)])),
    Buffer.from('HEAD / HTTP/1.0\r\n\r\n'),
  ];

  for (const format of ['common', 'combined', 'json'] as const) {
    it(`${format} is what JavaScript would write of the same requests, whatever they have in them`, async () => {
      await world.listen((asked) => answer(asked, 'x'), { headBytesMax: 60_000 });
      world.server.logAnswers();
      await ask(hostile);
      const records = await taken(() => world.server.takeAnswers(), hostile.length);
      assert.ok(records.filter(({ status }) => status === 200).length > 100);
      world.server.logAnswers(1 << 20, format);
      await ask(hostile);
      const written = await taken(lines, hostile.length);
      assert.deepEqual(written.map(timeless), records.map(writers[format]).map(timeless));
      assert.equal(world.server.answersTaken, 2 * hostile.length);
      assert.equal(world.server.answersDropped, 0);
    });
  }

  it('has the moment of the answer, and is JSON that reads back', async () => {
    await world.listen((asked) => answer(asked, 'hello'));
    world.server.logAnswers(1 << 20, 'json');
    const start = Date.now();
    await ask([request(Buffer.from('a'), Buffer.from('\xff', 'latin1'))]);
    const [line] = await taken(lines, 1);
    const { time, durationMs, ...rest } = JSON.parse(line!) as Record<string, unknown>;
    assert.ok(Date.parse(String(time)) >= start - 1000 && Date.parse(String(time)) <= Date.now(), String(time));
    assert.ok(Number(durationMs) < 10_000);
    assert.deepEqual(rest, {
      status: 200, bodyBytes: 5, versionMinor: 1, isComplete: true, client: '127.0.0.1', method: 'GET', target: '/a',
      host: 'a', referer: '\xff', userAgent: 'a\xffz',
    });
  });

  it('drops and counts whole lines that there is no room for, and goes on', async () => {
    await world.listen((asked) => answer(asked, 'x', { close: true }));
    world.server.logAnswers(200, 'common');
    await ask(Array.from({ length: 5 }, (_, i) => Buffer.from(get(`/${i}`))));
    await world.server.close();
    const kept = lines();
    assert.deepEqual(kept.map((line) => /"GET (\S+) /.exec(line)?.[1]), ['/0', '/1']);
    assert.equal(world.server.answersTaken, 2);
    assert.equal(world.server.answersDropped, 3);
  });

  it('a log that is set anew drops what waits, and counts it; each form has its own take', async () => {
    await world.listen((asked) => answer(asked, 'x', { close: true }));
    world.server.logAnswers(1 << 20, 'common');
    await ask([Buffer.from(get('/lost'))]);
    await settled(() => world.server.stats().connectionsOpen === 0);
    world.server.logAnswers();
    await ask([Buffer.from(get('/kept'))]);
    const [record] = await taken(() => world.server.takeAnswers(), 1);
    assert.equal(record!.target, '/kept');
    assert.equal(world.server.answersDropped, 1);
    assert.equal(world.server.takeAnswerLines().length, 0);
    world.server.logAnswers(1 << 20, 'json');
    await ask([Buffer.from(get('/line'))]);
    assert.deepEqual(world.server.takeAnswers(), []);
    assert.match((await taken(lines, 1))[0]!, /"target":"\/line"/);
    world.server.logAnswers(0);
    assert.equal(world.server.takeAnswerLines().length, 0);
  });

  it('a lower bound is kept although more waited before', async () => {
    await world.listen((asked) => answer(asked, 'x', { close: true }));
    world.server.logAnswers();
    await ask(Array.from({ length: 4 }, () => Buffer.from(get('/early'))));
    await settled(() => world.server.stats().connectionsOpen === 0);
    world.server.logAnswers(128);
    await ask(Array.from({ length: 4 }, () => Buffer.from(get('/late'))));
    await settled(() => world.server.stats().connectionsOpen === 0);
    assert.deepEqual(world.server.takeAnswers().map(({ target }) => target), ['/late']);
    assert.equal(world.server.answersDropped, 4 + 3);
  });

  it('copies each line twice, and lines are the caller\'s', async () => {
    await world.listen((asked) => answer(asked, 'x', { close: true }));
    world.server.logAnswers(1 << 20, 'common');
    const before = stats().copies['log']!;
    await ask([Buffer.from(get('/first'))]);
    await settled(() => world.server.stats().connectionsOpen === 0);
    const first = world.server.takeAnswerLines();
    const { times, bytes } = stats().copies['log']!;
    assert.deepEqual([times - before.times, bytes - before.bytes], [2, 2 * first.length]);
    const text = first.toString();
    await ask([Buffer.from(get('/second'))]);
    await taken(lines, 1);
    assert.equal(first.toString(), text);
  });

  it('refuses a format that is none', async () => {
    await world.listen((asked) => answer(asked, 'x'));
    assert.throws(() => world.server.logAnswers(1 << 20, 'xml' as HttpLogFormat), { code: 'ERR_INVALID_ARG_VALUE' });
  });
});
