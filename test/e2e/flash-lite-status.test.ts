// What --status shows: the page, the same figures as JSON, and for Prometheus.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';

import { hasCommand } from '../cgi/programs';
import { get, getStatus, type Answer } from './support/client';
import { run, start, stop, stopPrograms, until, type Server } from './support/flash-lite';
import { Tree } from './support/tree';

interface Family {
  type: string;
  samples: Map<string, number>;  // By labels, as they are written.
}

// Strict: the help, the type and then all samples of a name, each series once.
function parseMetrics(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  assert.ok(text.endsWith('\n'));
  let helped = '';
  let current: [name: string, family: Family] | undefined;
  for (const line of text.slice(0, -1).split('\n')) {
    const help = /^# HELP ([a-z_]+) [A-Z][^\\]*\.$/.exec(line);
    const type = /^# TYPE ([a-z_]+) (counter|gauge)$/.exec(line);
    const sample =
      /^([a-z_]+)(?:\{([a-z_]+="(?:[^"\\]|\\[\\"n])*"(?:,[a-z_]+="(?:[^"\\]|\\[\\"n])*")*)\})? (\d+(?:\.\d+)?)$/
        .exec(line);
    if (help !== null) {
      helped = help[1] as string;
      assert.ok(!families.has(helped), `${helped} comes twice`);
    } else if (type !== null) {
      assert.equal(type[1], helped, 'a type follows its help');
      assert.equal(type[2] === 'counter', helped.endsWith('_total'), helped);
      current = [helped, { type: type[2] as string, samples: new Map() }];
      families.set(...current);
    } else {
      assert.ok(sample, `no line of the format: ${line}`);
      const [, name, labels = '', value] = sample as unknown as [string, string, string | undefined, string];
      assert.equal(name, current?.[0], 'a sample follows its type');
      assert.ok(!current?.[1].samples.has(labels), `${line} comes twice`);
      current?.[1].samples.set(labels, Number(value));
    }
  }
  for (const [name, { samples }] of families) assert.ok(samples.size > 0, `${name} has no samples`);
  return families;
}

describe('Flash-Lite: the status', () => {
  let tree: Tree;
  let server: Server;

  before(async () => {
    tree = new Tree({ 'root/a.txt': 'a'.repeat(1000), 'root/b.txt': 'b' });
    server = await start(tree.path('root'), '--status', '--app', `/a"b\\c=${tree.path('none.mjs')}`);
    for (const target of ['/a.txt', '/a.txt', '/a.txt', '/b.txt', '/none']) await get(server, target);
  });

  after(async () => {
    await stop(server);
    await stopPrograms();
    tree.remove();
  });

  it('is JSON for programs', async () => {
    const answer = await get(server, '/.flash-lite/status');
    assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8');
    assert.equal(answer.headers['cache-control'], 'no-store');
    const status = JSON.parse(answer.body.toString()) as Record<string, unknown>;
    assert.equal(status['pid'], server.pid);
    const { requests, responses2xx, responses4xx } = status['http'] as Record<string, number>;
    assert.deepEqual({ requests, responses2xx, responses4xx }, { requests: 6, responses2xx: 4, responses4xx: 1 });
    assert.ok((status['cpuSeconds'] as number) > 0 && (status['residentBytes'] as number) > 1 << 20);
  });

  it('is metrics for Prometheus, with the same figures', async () => {
    const before = await getStatus(server);
    const answer = await get(server, '/.flash-lite/metrics');
    assert.equal(answer.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
    const families = parseMetrics(answer.body.toString());
    const valueOf = (name: string, labels = ''): number | undefined => families.get(name)?.samples.get(labels);
    assert.equal(valueOf('flash_lite_requests_total'), before.requests + 1);
    const classes = families.get('flash_lite_responses_total')?.samples;
    assert.deepEqual([...(classes?.keys() ?? [])], [1, 2, 3, 4, 5].map((digit) => `class="${digit}xx"`));
    assert.equal(classes?.get('class="4xx"'), 1);
    // Between two answers, since the worker that is started again and again has something to say meanwhile.
    const after = await getStatus(server);
    for (const [reason, { times, bytes }] of Object.entries(before.copies)) {
      const [metricTimes = -1, metricBytes = -1] = ['copies', 'copied_bytes'].map((name) =>
        valueOf(`flash_lite_${name}_total`, `reason="${reason}"`));
      assert.ok(times <= metricTimes && metricTimes <= after.copies[reason]!.times, `${reason}: ${metricTimes}`);
      assert.ok(bytes <= metricBytes && metricBytes <= after.copies[reason]!.bytes, `${reason}: ${metricBytes}`);
    }
    assert.ok((valueOf('flash_lite_copies_total', 'reason="write"') ?? 0) > (before.copies['write']?.times ?? 0));
    assert.equal(valueOf('flash_lite_cache_hits_total'), before.cache.hits);
    assert.equal(valueOf('flash_lite_cache_misses_total'), before.cache.misses);
    assert.equal(valueOf('flash_lite_cache_bytes'), before.cache.bytes);
    assert.equal(valueOf('flash_lite_cache_max_bytes'), 256 * 2 ** 20);
    assert.equal(valueOf('flash_lite_app_workers', String.raw`app="/a\"b\\c"`), 0);
  });

  it('is a page whose style and script are all that it may use', async () => {
    const { status, headers, body } = await get(server, '/.flash-lite/');
    assert.equal(status, 200);
    assert.equal(headers['content-type'], 'text/html; charset=utf-8');
    const html = body.toString();
    const policy = headers['content-security-policy'] as string;
    assert.match(policy, /^default-src 'none'; /);
    assert.doesNotMatch(policy, /unsafe/);
    for (const name of ['style', 'script']) {
      const contents = [...html.matchAll(new RegExp(`<${name}>([^]*?)</${name}>`, 'g'))];
      assert.equal(contents.length, 1, name);
      const hash = createHash('sha256').update(contents[0]?.[1] as string).digest('base64');
      assert.ok(policy.includes(`${name}-src 'sha256-${hash}'`), name);
    }
    assert.doesNotMatch(html, /https?:|\/\/[a-z]|@import|url\(| style="| on[a-z]+="/);
  });

  it('tells under "Trouble" all that the figures have of it', async () => {
    const html = (await get(server, '/.flash-lite/')).body.toString();
    const [, trouble = ''] = /fill\('trouble', \[(.*?)\]\.map/s.exec(html) ?? [];
    const told = [...trouble.matchAll(/http\.(\w+)/g)].map(([, name]) => name as string).sort();
    const { http } = await getStatus(server);
    const kinds = /^(?!idle)(?:malformed|refusedForMemory|\w+(?:Timeouts|Failures|Pauses|Lost|Cuts))$/;
    assert.deepEqual(told, Object.keys(http).filter((name) => kinds.test(name)).sort());
  });

  it('answers HEAD, sends to the slash, and knows nothing else', async () => {
    const whole = await get(server, '/.flash-lite/');
    const head = await get(server, '/.flash-lite/', { method: 'HEAD' });
    assert.equal(head.body.length, 0);
    assert.equal(head.headers['content-length'], String(whole.body.length));
    const redirect = await get(server, '/.flash-lite');
    assert.deepEqual([redirect.status, redirect.headers.location], [301, '/.flash-lite/']);
    for (const [target, method, status] of [
      ['/.flash-lite/x', 'GET', 404], ['/.flash-litestatus', 'GET', 404], ['/.flash-lite/', 'POST', 405],
    ] as const) {
      assert.equal((await get(server, target, { method })).status, status, `${method} ${target}`);
    }
  });

  it('is nowhere unless it is asked for', async () => {
    const other = await start(tree.path('root'));
    for (const target of ['', '/', '/status', '/metrics']) {
      const { status }: Answer = await get(other, `/.flash-lite${target}`);
      assert.equal(status, 404, target);
    }
    await stop(other);
  });

  it('is metrics that promtool finds nothing wrong with', async function () {
    if (!hasCommand('promtool')) this.skip();
    const input = (await get(server, '/.flash-lite/metrics')).body;
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8' });
    assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' });
  });

  it('is scraped by Prometheus, every series with its type and value', async function () {
    if (!hasCommand('prometheus')) this.skip();
    this.timeout(60_000);
    tree.write('prometheus.yml', ['scrape_configs:', '- job_name: ours', '  scrape_interval: 1s', '  metrics_path: /.flash-lite/metrics',
      `  static_configs: [{ targets: ['127.0.0.1:${server.port}'] }]`, ''].join('\n'));
    const scraper = run('prometheus', [`--config.file=${tree.path('prometheus.yml')}`, `--storage.tsdb.path=${tree.path('tsdb')}`,
      '--web.listen-address=127.0.0.1:0']);
    const listening = /msg="Listening on" address=(\S+)/;
    await until('Prometheus', () => listening.test(scraper.stderr) || !scraper.isRunning);
    const base = `http://${listening.exec(scraper.stderr)?.[1]}`;
    await until('Prometheus, ready', async () => (await fetch(`${base}/-/ready`)).ok);
    interface Sample { metric: Record<string, string>; value: [number, string] }
    const ask = async <T>(target: string): Promise<T> => ((await (await fetch(`${base}/api/v1/${target}`)).json()) as { data: T }).data;
    const query = async (text: string): Promise<Sample[]> =>
      (await ask<{ result: Sample[] }>(`query?query=${encodeURIComponent(text)}`)).result;
    const all = '{job="ours", __name__!~"up|scrape_.+"}';
    await until('a scrape', async () => (await query(all)).length > 0);

    const families = parseMetrics((await get(server, '/.flash-lite/metrics')).body.toString());
    const samples = await query(all);
    assert.equal(samples.length, [...families.values()].reduce((sum, each) => sum + each.samples.size, 0));
    const valueOf = (name: string, labels: Record<string, string> = {}): number => Number(samples.find(({ metric }) =>
      metric['__name__'] === name && Object.entries(labels).every(([key, value]) => metric[key] === value))?.value[1]);
    assert.equal(valueOf('flash_lite_responses_total', { class: '4xx' }), families.get('flash_lite_responses_total')?.samples.get('class="4xx"'));
    assert.equal(valueOf('flash_lite_cache_max_bytes'), 256 * 2 ** 20);
    assert.equal(valueOf('flash_lite_app_workers', { app: String.raw`/a"b\c` }), 0);
    assert.ok(valueOf('flash_lite_requests_total') > 0);
    const types = await ask<Record<string, { type: string }[]>>('metadata');
    for (const [name, { type }] of families) assert.deepEqual(types[name]?.map((each) => each.type), [type], name);
    scraper.child.kill();
    await scraper.exit;
  });

  it('lives in Chromium', async function () {
    this.timeout(90_000);
    const browse = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
      `--user-data-dir=${tree.path('profile')}`, '--dump-dom'];
    // It may be there and not start: without fonts, or in a container that denies it its namespaces.
    if (spawnSync('chromium', [...browse, 'about:blank'], { timeout: 30_000 }).status !== 0) this.skip();
    const { stdout } = await run('chromium', [...browse, '--virtual-time-budget=5000', `${server.url}/.flash-lite/`]).exit;
    assert.match(stdout, /<span id="state" role="status" class="live">live</);
    assert.match(stdout, new RegExp(`process ${server.pid} `));
    assert.match(stdout, /<span class="dot c4"><\/span>4xx<\/th><td>[^<]*<\/td><td>\d+<\/td>/);
    assert.match(stdout, /id="requests".*?<path d="M[\d.]+ [\d.]+L/s);
    assert.match(stdout, />write<\/th>/);
  });
});
