// Workers that answer with files of the server's: by reference, in parts, or not at all.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, symlinkSync, truncateSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';

import { parseFileRange } from '../../lib/cgi/file-range';
import { get, getStatus, RawClient, type Answer, type Status } from '../e2e/support/client';
import { ready, run, start, stopPrograms, until, type Server } from '../e2e/support/flash-lite';
import { patterned, Tree } from '../e2e/support/tree';

const workerModule = path.join(__dirname, 'worker.mjs');

interface Asked {
  path: string;
  offset?: number;
  length?: number;
  status?: number;
  mark?: string;
  then?: string;
}

interface Failure {
  name: string;
  code: string;
  errno?: number;
  message: string;
}

const targetOf = (action: string, asked: Asked): string =>
  `/app/${action}?${encodeURIComponent(JSON.stringify(asked))}`;
const copied = ({ copies }: Pick<Status, 'copies'>): number =>
  Object.values(copies).reduce((sum, { bytes }) => sum + bytes, 0);

describe('files that workers name', function () {
  this.timeout(30_000);
  const large = patterned(3_500_000, 1);
  const medium = patterned(300_000, 2);
  const longName = path.join(...Array.from({ length: 10 }, () => 'é'.repeat(100)), 'file');
  let tree: Tree;
  let outside: Tree;
  let server: Server;

  const ask = (action: string, asked: Asked, options = {}): Promise<Answer> =>
    get(server, targetOf(action, asked), options);
  const give = (asked: Asked, options = {}): Promise<Answer> => ask('give', asked, options);
  const text = async (target: string): Promise<string> => (await get(server, target)).body.toString();
  const failure = async (asked: Asked): Promise<Failure> =>
    JSON.parse((await ask('tell', asked)).body.toString()) as Failure;

  before(() => {
    tree = new Tree({ 'medium': medium, 'large': large, 'empty': '', 'folder/a': 'a', [longName]: 'long' });
    outside = new Tree({ secret: 'secret' });
    symlinkSync(outside.path('secret'), tree.path('link'));
    symlinkSync(tree.path('medium'), tree.path('inside'));
  });
  afterEach(stopPrograms);
  after(() => {
    tree.remove();
    outside.remove();
  });

  it('are sent: whole, ranges, in parts, empty, by long names and through links', async () => {
    server = await start(tree.root, '--status', '--app', `/app=${workerModule}`);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const cases: [asked: Asked, wanted: Buffer][] = [
      [{ path: 'medium' }, medium],
      [{ path: 'inside' }, medium],
      [{ path: 'medium', offset: 7, length: 100_000, status: 206 }, medium.subarray(7, 100_007)],
      [{ path: 'medium', offset: 300_000 }, medium.subarray(0, 0)],
      [{ path: 'medium', offset: 5, length: 0 }, medium.subarray(0, 0)],
      [{ path: 'large' }, large],
      [{ path: 'large', offset: 1_000_001, length: 2_000_003 }, large.subarray(1_000_001, 3_000_004)],
      [{ path: 'large', offset: 3_000_000 }, large.subarray(3_000_000)],
      [{ path: 'empty' }, Buffer.alloc(0)],
      [{ path: longName }, Buffer.from('long')],
      [{ path: 'folder/../folder/a' }, Buffer.from('a')],
    ];
    for (const [asked, wanted] of [...cases, ...cases]) {
      const real = { ...asked, path: `${tree.root}/${asked.path}` };
      const answer = await give(real, { agent });
      assert.equal(answer.status, asked.status ?? 200, JSON.stringify(asked));
      assert.equal(answer.headers['content-length'], `${wanted.length}`);
      assert.ok(answer.body.equals(wanted), JSON.stringify(asked));
      const head = await give(real, { agent, method: 'HEAD' });
      assert.deepEqual([head.headers['content-length'], head.body.length], [`${wanted.length}`, 0]);
    }
    agent.destroy();
    assert.equal(server.program.stderr.includes('cut'), false);
  });

  it('are copied by nobody, and take no new bytes the second time', async () => {
    server = await start(tree.root, '--status', '--app', `/app=${workerModule}`);
    const asked = { path: tree.path('medium') };
    const inUse = ({ memory }: Status): number => memory.pools.find(({ name }) => name === 'flash-lite')!.bytesInUse;
    for (let i = 0; i < 3; i++) await give(asked);
    const before = await getStatus(server);
    const workerBefore = JSON.parse(await text('/app/stats')) as Status;
    for (let i = 0; i < 20; i++) assert.ok((await give(asked)).body.equals(medium));
    const workerAfter = JSON.parse(await text('/app/stats')) as Status;
    const after = await getStatus(server);
    assert.ok(copied(after) - copied(before) < 50_000, `server: ${copied(after) - copied(before)}`);  // Heads.
    assert.ok(copied(workerAfter) - copied(workerBefore) < 50_000, 'worker');
    assert.equal(inUse(after), inUse(before));
    assert.equal(after.cache.misses, before.cache.misses);
    assert.ok(after.cache.hits >= before.cache.hits + 20);
  });

  it('that cannot be given are an error at the worker, which can still answer', async () => {
    server = await start(tree.root, '--app', `/app=${workerModule}`);
    const pid = await text('/app/pid');
    const cases: [asked: Asked, code: string, message: RegExp, status: number, errno?: number][] = [
      [{ path: tree.path('none') }, 'ERR_IOL_SYSTEM', /^ENOENT: .*none'/, 404, -2],
      [{ path: tree.path('folder') }, 'ERR_IOL_SYSTEM', /^EISDIR/, 404, -21],
      [{ path: outside.path('secret') }, 'ERR_IOL_REFUSED', /secret' was refused .* outside of/, 404],
      [{ path: tree.path('link') }, 'ERR_IOL_REFUSED', /link' was refused/, 404],
      [{ path: `${tree.root}/../${path.basename(outside.root)}/secret` }, 'ERR_IOL_REFUSED', /outside of/, 404],
      [{ path: '/dev/null' }, 'ERR_IOL_NOT_REGULAR', /null/, 404],
      [{ path: tree.path('medium'), offset: 300_001 }, 'ERR_OUT_OF_RANGE', /"offset".*<= 300000.*300001/, 502],
      [{ path: tree.path('medium'), offset: 1, length: 300_000 }, 'ERR_OUT_OF_RANGE', /"length".*<= 299999/, 502],
    ];
    for (const [asked, code, message, status, errno] of cases) {
      const told = await failure(asked);
      assert.equal(told.code, code, JSON.stringify(told));
      assert.equal(told.name, code === 'ERR_OUT_OF_RANGE' ? 'RangeError' : 'IolError');
      assert.equal(told.errno, errno);
      assert.match(told.message, message);
      assert.equal((await give(asked)).status, status, 'and when the handler lets it out');
    }
    const mistakes: [asked: Asked, code: string][] = [
      [{ path: 'medium' }, 'ERR_INVALID_ARG_VALUE'],
      [{ path: `/${'x'.repeat(5000)}` }, 'ERR_INVALID_ARG_VALUE'],
      [{ path: tree.path('medium'), offset: -1 }, 'ERR_OUT_OF_RANGE'],
      [{ path: tree.path('medium'), status: 304 }, 'ERR_INVALID_ARG_VALUE'],
      [{ path: 5 as never }, 'ERR_INVALID_ARG_TYPE'],
    ];
    for (const [asked, code] of mistakes) assert.equal((await failure(asked)).code, code);
    assert.equal(await text('/app/pid'), pid, 'the worker lives on');
  });

  it('are refused by a server that gives none, and when there is no memory for them', async () => {
    const script = path.join(__dirname, 'files-server.mjs');
    server = await ready(run(process.execPath, [script, workerModule]));
    const none = await failure({ path: tree.path('medium') });
    assert.deepEqual([none.code, none.message], [
      'ERR_IOL_REFUSED', `'${tree.path('medium')}' was refused by the server: it gives no files to workers`,
    ]);
    server = await ready(run(process.execPath, [script, workerModule, tree.root]));
    assert.equal((await failure({ path: tree.path('large') })).code, 'ERR_IOL_POOL_FULL');
    assert.equal((await give({ path: tree.path('large') })).status, 502);
    assert.equal((await give({ path: tree.path('folder/a') })).body.toString(), 'a');
  });

  it('are sent to their end without the worker, but cut when they change meanwhile', async () => {
    const bytes = patterned(48 << 20, 3);
    tree.write('huge', bytes);
    server = await start(tree.root, '--status', '--app', `/app=${workerModule}`);
    const begin = async (name: string, facts: Partial<Asked>): Promise<RawClient> => {
      const mark = tree.path(name);
      const client = new RawClient(server);
      client.socket.pause();
      const target = targetOf('give', { path: tree.path('huge'), mark, ...facts });
      client.send(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
      await until('the answer to begin', () => existsSync(mark));
      return client;
    };
    const whole = await begin('mark-1', { then: 'exit' });
    await until('the worker to end', () => server.program.stderr.includes('ended: exit code 3'));
    assert.ok((await getStatus(server)).memory.liveHolds < 400, 'a slow client holds no more than parts');
    whole.socket.resume();
    await whole.closed();
    assert.ok(whole.split()!.body.equals(bytes));
    tree.write('huge', bytes);
    const cut = await begin('mark-2', {});
    truncateSync(tree.path('huge'), 1000);
    cut.socket.resume();
    await cut.closed();
    assert.ok(cut.split()!.body.length < bytes.length);
    assert.match(server.program.stderr, /huge was cut: .*changed/);
    assert.equal((await give({ path: tree.path('medium') })).status, 200);
  });

  it('in malformed frames: 502, a line in the log, the next request served', async () => {
    const rogue = path.join(__dirname, 'rogue.mjs');
    server = await ready(run(process.execPath, [path.join(__dirname, 'files-server.mjs'), rogue, __dirname]));
    let lines = 0;
    for (const action of ['unknown-head', 'no-body', 'too-long']) {
      assert.equal((await get(server, `/app/${action}`)).status, 502, action);
      lines++;
      await until(`the line for ${action}`, () =>
        server.program.stderr.split('broke the rules of its channel').length - 1 === lines);
      assert.ok((await get(server, '/app/good')).body.equals(readFileSync(rogue)));
    }
  });

  it('have a range that is checked before anything is opened', () => {
    assert.deepEqual(parseFileRange('7 /a b', 9), { path: '/a b', offset: 7, length: 9 });
    assert.deepEqual(parseFileRange('0 /\xc3\xa9', -1), { path: '/é', offset: 0, length: -1 });
    const malformed: [line: string, length?: number][] = [
      [''], ['/a'], ['0 '], ['0 a'], ['-1 /a'], ['1.5 /a'], ['1e3 /a'], ['9007199254740993 /a'],
      ['99999999999999999 /a'], ['0 /a\0b'], ['0 /a', -2], ['0 /a', 2 ** 60], ['0 /a', 0.5], ['0 /a', NaN],
      ['0 /a', Infinity],
    ];
    for (const [line, length = -1] of malformed) {
      assert.equal(parseFileRange(line, length), undefined, `${line} ${length}`);
    }
  });
});
