// The configuration file: what it may say, how it is refused, how it and the command line meet.
import assert from 'node:assert/strict';
import path from 'node:path';

import { parseConfig } from '../../examples/flash-lite/config';
import { parseCommandLine } from '../../examples/flash-lite/options';
import { combine, kConfigSchema, kProperties, settingOf } from '../../examples/flash-lite/settings';
import { get } from './support/client';
import { ready, runFlashLite, stopPrograms, until } from './support/flash-lite';
import { Tree } from './support/tree';

describe('Flash-Lite: the configuration file', () => {
  const problemsOf = (content: string): string[] => {
    const config = parseConfig(content, 'f');
    return config.kind === 'wrong' ? config.problems : [];
  };

  const right: [what: string, content: string, values: object][] = [
    ['nothing', '', {}],
    ['a comment', '# nothing\n', {}],
    ['YAML', 'port: 80\nlisting: true\ncache-bytes: 1G\n', {
      port: 80, hasListing: true, cacheBytes: 2 ** 30,
    }],
    ['JSON, indented by tabs', '{\n\t"port": 80,\n\t"cache-bytes": 1048576\n}\n', {
      port: 80, cacheBytes: 2 ** 20,
    }],
    ['paths, which begin at the file', 'root: www\ncgi:\n  /a/: bin/a\n  /b: /bin/b\n', {
      root: path.resolve('www'),
      cgi: [{ prefix: '/a', path: path.resolve('bin/a') }, { prefix: '/b', path: '/bin/b' }],
    }],
    ['places and pages as numbers', 'listen: [8080, "[::]:80"]\nerror-page: { 404: /x }', {
      listen: [
        { kind: 'address', host: '127.0.0.1', port: 8080, isSecure: false },
        { kind: 'address', host: '::', port: 80, isSecure: false },
      ],
      errorPages: [{ status: 404, path: '/x' }],
    }],
    ['variables', 'env: { A: "1", B: x=y }', { environment: { A: '1', B: 'x=y' } }],
    ['an anchor', 'env: { A: &a "1", B: *a }', { environment: { A: '1', B: '1' } }],
  ];
  for (const [what, content, values] of right) {
    it(`takes ${what}`, () => {
      assert.deepEqual(parseConfig(content, 'f'), { kind: 'right', values });
    });
  }

  const wrong: [what: string, content: string, problems: (string | RegExp)[]][] = [
    ['an unknown name', 'port: 80\n# x\n  \nprot: 81\n', ['f:4:1: prot is no setting']],
    ['a number that is too large', 'port:   65536\n', [
      'f:1:9: port must be a number from 0 to 65535, not 65536',
    ]],
    ['a text for a number', '{"port": "80x"}', [
      'f:1:10: port must be a number from 0 to 65535, not "80x"',
    ]],
    ['a size that is too small', 'cache-bytes: 1K\n', [
      /^f:1:14: cache-bytes must be from 1048576 \(1M\) to .*, not "1K"$/,
    ]],
    ['a fraction', 'cgi-max: 1.5', [/^f:1:10: cgi-max must be a number .*, not 1.5$/]],
    ['a flag that is none', 'listing: yes please', [
      'f:1:10: listing must be true or false, not "yes please"',
    ]],
    ['null', 'port:\n', [/^f:1:6: port must be a number from 0 to 65535/]],
    ['all problems, in the order of the file', 'nonsense: 1\nport: -1\nenv: []\n', [
      'f:1:1: nonsense is no setting',
      'f:2:7: port must be a number from 0 to 65535, not -1',
      'f:3:6: env must be a mapping to texts, like NAME: "value", not []',
    ]],
    ['a prefix without a slash', 'cgi:\n  a: b\n', [/^f:2:3: cgi must be a mapping, like \/prefix: \/path\/of\/program, not "?a"?$/]],
    ['a number for a text in a mapping', 'env:\n  A: x\n  B: 2\n', [/^f:3:6: env must be .*, not 2$/]],
    ['a list', '- port: 80\n', ['f:1:1: it must be settings, each as name: value']],
    ['one word', 'port', ['f:1:1: it must be settings, each as name: value']],
    ...Object.entries({
      'cache-control: "/a=no-store"': 'a mapping, like "/assets/**": max-age=3600, not "/a=no-store"',
      'error-page: 404=/404.html': 'a mapping, like "404": /404.html, not "404=/404.html"',
      'type: x=text/plain': 'a mapping, like "geojson": application/geo+json, not "x=text/plain"',
      'app: /x=y.mjs': 'a mapping, like /prefix: /path/of/program, not "/x=y.mjs"',
      'header: { X-Frame-Options: DENY }':
        'a text, or a list of texts, like "NAME: VALUE" or "PATTERN=NAME: VALUE", ' +
        'of a header that is not the server\'s own, not {"X-Frame-Options":"DENY"}',
      'listen: { port: 80 }': 'a text, or a list of texts, like 8080, 0.0.0.0:80, ' +
        'https://[::]:443, unix:/run/web.sock or fd:3, not {"port":80}',
      'index: a.html,b.html': 'a list of names of files, not "a.html,b.html"',
    }).map(([content, expected]): typeof wrong[number] => {
      const [name = ''] = content.split(':');
      return [`the form of the command line: ${content}`, content, [`f:1:${name.length + 3}: ${name} must be ${expected}`]];
    }),
    ['names twice', 'port: 1\n"port": 2\nenv: { A: x, A: y }\n', ['f:2:1: port is there twice', 'f:3:14: A is there twice']],
    ['a bracket that stays open', '{"port": 80', [/^f:1:12: /]],
    ['wrong indentation', 'env:\n    A: x\n  B: y\n', [/^f:3:/]],
    ['two documents', 'port: 1\n---\nport: 2\n', [/^f:2:1: /]],
    ['an unknown tag', 'port: !secret 80\n', [/^f:1:7: /]],
    ['an alias of nothing', 'port: *x\n', [/^f:1:/]],
    ['a bomb of aliases',
      `a: &a [${'x,'.repeat(9)}x]\n${'bcdefgh'.split('').map((name, i) =>
        `${name}: &${name} [${`*${'abcdefg'[i] as string},`.repeat(9)}x]\n`).join('')}`,
      [/^f:1:1: Excessive alias count/]],
    ['__proto__', '__proto__: { port: 1 }\n', ['f:1:1: __proto__ is no setting']],
  ];
  for (const [what, content, expected] of wrong) {
    it(`refuses ${what}`, () => {
      const problems = problemsOf(content);
      assert.equal(problems.length, expected.length, problems.join('\n'));
      problems.forEach((problem, i) => {
        const wanted = expected[i] as string | RegExp;
        if (typeof wanted === 'string') assert.equal(problem, wanted);
        else assert.match(problem, wanted);
      });
    });
  }

  it('the command line wins; what may be given several times comes from both', () => {
    const file = parseConfig('port: 1\nlisting: true\nenv: { A: f, B: f }\ncgi: { /x: f }', 'f');
    const line = parseCommandLine(['--port', '2', '--env', 'B=1', '--env', 'B=2', '--cgi', '/x=/l']);
    assert.ok(file.kind === 'right' && line.kind === 'serve');
    const options = combine(file.values, line.values);
    assert.equal(options.port, 2);
    assert.equal(options.hasListing, true);
    assert.deepEqual(options.environment, { A: 'f', B: '2' });
    assert.deepEqual(options.cgi.map((route) => route.path), ['/l', path.resolve('f')]);
    assert.equal(options.cacheBytes, 256 << 20);
  });

  it('each setting has a name of its own, and a default that its schema would take', () => {
    const names = kProperties.map((property) => settingOf(property).name);
    assert.equal(new Set(names).size, names.length);
    assert.deepEqual(Object.keys(kConfigSchema['properties'] as object), names);
    for (const property of kProperties) {
      const { name, fallback } = settingOf(property);
      if (fallback === undefined || Array.isArray(fallback)) continue;
      assert.deepEqual(problemsOf(JSON.stringify({ [name]: fallback })), [], name);
    }
  });

  describe('given to the command', () => {
    let tree: Tree;
    before(() => { tree = new Tree({ 'www/a.txt': 'a' }); });
    afterEach(stopPrograms);
    after(() => tree.remove());

    it('serves what the file says', async () => {
      tree.write('right.yaml', 'root: www\nport: 1\nlisting: true\n');
      const server = await ready(runFlashLite('--config', tree.path('right.yaml'), '--port', '0'));
      assert.equal(server.root, tree.path('www'));
      assert.equal((await get(server, '/a.txt')).body.toString(), 'a');
      assert.equal((await get(server, '/')).status, 200);
    });

    it('a wrong file is refused as a whole, each problem in a line, with exit code 2', async () => {
      tree.write('wrong.yaml', 'root: www\nport: x\nlisting: 1\n');
      const file = tree.path('wrong.yaml');
      const exit = await runFlashLite('--config', file, '--port', '0').exit;
      assert.equal(exit.code, 2);
      assert.equal(exit.stdout, '');
      assert.equal(exit.stderr,
        `flash-lite: ${file}:2:7: port must be a number from 0 to 65535, not "x"\n` +
        `flash-lite: ${file}:3:10: listing must be true or false, not 1\n`);
    });

    it('a missing file is told', async () => {
      const exit = await runFlashLite('--config', tree.path('none')).exit;
      assert.equal(exit.code, 2);
      assert.match(exit.stderr, /^flash-lite: .*none: .*ENOENT.*\n$/);
    });

    it('--check says whether it is right', async () => {
      tree.write('check.yaml', 'port: 80\nerror-page: { "404": /a.txt }\nfallback: /a.txt\ncgi: { /x: www }\n' +
        'app: { /y: www/a.txt }\naccess-log: new.log\npid-file: pid\nroot: www\n');
      const exit = await runFlashLite('--check', '--config', tree.path('check.yaml')).exit;
      assert.deepEqual([exit.code, exit.stdout, exit.stderr], [0, 'flash-lite: the settings are right\n', '']);
    });

    it('--check tells all that is not there, with its setting; a start lives without some of it', async () => {
      const pages = ['error-page:', '  "404": /none.html', '  "403": /.a.txt', 'fallback: /d/'];
      const programs = ['cgi:', '  /x: bin', 'app:', '  /y: y.mjs'];
      tree.write('check.yaml', [...pages, ...programs, 'root: www', ''].join('\n'));
      const file = tree.path('check.yaml');
      const problems = [
        `${file}:8:3: app: /y: there is no module ${tree.path('y.mjs')}`,
        `${file}:6:3: cgi: /x: cannot run ${tree.path('bin')}: it does not exist (ENOENT)`,
        `${file}:2:3: error-page: 403: /.a.txt is never served`,
        `${file}:2:3: error-page: 404: /none.html is no file below ${tree.path('www')}`,
        `${file}:4:11: fallback: /d/ is no file below ${tree.path('www')}`,
      ].map((line) => `flash-lite: ${line}\n`);
      const options = ['--config', file, '--port', '0'];
      const exit = await runFlashLite('--check', ...options).exit;
      assert.deepEqual([exit.code, exit.stdout, exit.stderr], [1, '', problems.join('')]);
      const server = await ready(runFlashLite(...options));
      assert.equal((await get(server, '/a.txt')).body.toString(), 'a');
      await until('the same lines', () => problems.every((line) => server.program.stderr.includes(line)));

      const none = tree.path('none');
      const needed = ['--root', none, '--user', 'nobody-of-that-name', '--access-log', `${none}/a`, '--error-log', tree.root,
        '--pid-file', tree.path('www/a.txt/pid')];
      const places = [
        `--root: cannot serve ${none}: it does not exist (ENOENT)`, '--user: there is no user "nobody-of-that-name"',
        `--access-log: cannot write to ${none}: it does not exist (ENOENT)`, `--error-log: ${tree.root} is a directory`,
        `--pid-file: cannot write to ${tree.path('www/a.txt')}: it is not a directory`,
      ].map((line) => `flash-lite: ${line}\n`).join('');
      for (const more of [['--check'], ['--port', '0']]) {
        const { code, stdout, stderr } = await runFlashLite(...needed, ...more).exit;
        assert.deepEqual([code, stdout, stderr], [1, '', places]);
      }
    });

    it('--schema prints the schema', async () => {
      const exit = await runFlashLite('--schema').exit;
      assert.equal(exit.code, 0);
      assert.deepEqual(JSON.parse(exit.stdout), kConfigSchema);
    });
  });
});
