// The rules of the house that no compiler holds. A broken one is shown as `path:line: rule`.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const root = path.join(__dirname, '..');

interface SourceFile {
  name: string;
  lines: string[];
}

const skippedFolders = new Set(['node_modules', 'build', 'dist', 'prebuilds', '.git', 'results']);
const textFile = /\.(h|cc|c|def|ts|mts|mjs|cjs|js|json|md|gyp|pml|yml|sh)$|^\.ci\/|^LICENSE$/;

function filesUnder(folder: string): SourceFile[] {
  return readdirSync(path.join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = path.posix.join(folder, entry.name);
    if (entry.isDirectory()) return skippedFolders.has(entry.name) ? [] : filesUnder(name);
    if (!textFile.test(name)) return [];
    return [{ name, lines: readFileSync(path.join(root, name), 'utf8').split('\n') }];
  });
}

const allFiles = filesUnder('.');
const under = (folder: string): SourceFile[] =>
  allFiles.filter((file) => file.name.startsWith(`${folder}/`));
const native = under('src-native');

/** The complaints of `judge` about every line of `files`, as `path:line: rule`. */
function complaints(
  files: SourceFile[],
  judge: (line: string, file: SourceFile) => string | undefined,
): string[] {
  return files.flatMap((file) =>
    file.lines.flatMap((line, index) => {
      const rule = judge(line, file);
      return rule === undefined ? [] : [`${file.name}:${index + 1}: ${rule}`];
    }),
  );
}

function assertNone(found: string[]): void {
  assert.equal(found.length, 0, `\n${found.join('\n')}`);
}

const withoutComment = (line: string): string => line.replace(/\/\/.*$/, '');

// Lowest first; a folder may include itself and those before it. cache and net are strangers.
const floors = [
  'base', 'sys', 'window', 'pool', 'aggregate', 'channel', 'cache', 'net', 'io', 'http', 'launcher',
  'node',
];
const floorOf = (file: SourceFile): string => file.name.split('/')[1] ?? '';

// Headers that ask the system for something although they are outside sys/, and why they may.
const systemHeaderAllowed = new Map<string, string>([
  ['src-native/base/check.cc', 'prints and aborts: the last resort of all floors'],
]);

// Files outside base/copy.cc that may name memcpy and its kind, and why.
const rawCopyAllowed = new Map<string, string>([
  ['src-native/sys/handover.cc', 'descriptors of a control message, never payload'],
]);

describe('the import law', () => {
  it('every floor is known', () => {
    assertNone(native.filter((file) => !floors.includes(floorOf(file))).map((file) => file.name));
  });

  it('a folder includes only itself and lower floors', () => {
    const found = complaints(native, (line, file) => {
      const included = /^\s*#\s*include\s+"([^"]+)"/.exec(line)?.[1];
      if (included === undefined) return undefined;
      const own = floorOf(file);
      const other = included.includes('/') ? (included.split('/')[0] ?? '') : own;
      if (!floors.includes(other)) return `includes "${included}", which is on no floor`;
      if (new Set([own, other, 'cache', 'net']).size === 2 && own !== other) {
        return `${own}/ and ${other}/ do not see each other`;
      }
      return floors.indexOf(other) > floors.indexOf(own)
        ? `${own}/ may not include "${included}": ${other}/ is a higher floor`
        : undefined;
    });
    assertNone(found);
  });

  it('only sys/ includes headers of the system', () => {
    const found = complaints(native, (line, file) => {
      const header = /^\s*#\s*include\s+<([^>]+\.h)>/.exec(line)?.[1];
      if (header === undefined || floorOf(file) === 'sys') return undefined;
      const isBinding = /^(napi|node_api|uv)\.h$/.test(header) && floorOf(file) === 'node';
      if (isBinding || systemHeaderAllowed.has(file.name)) return undefined;
      return `<${header}> belongs in sys/ (or node/ for napi and uv)`;
    });
    assertNone(found);
  });

  it('payload is moved only by base/copy.cc', () => {
    const found = complaints(native, (line, file) => {
      if (file.name === 'src-native/base/copy.cc' || rawCopyAllowed.has(file.name)) return undefined;
      const name = /\b(?:memcpy|memmove|mempcpy|bcopy|strcpy|strncpy)\b(?=\s*\()/.exec(
        withoutComment(line),
      );
      return name === null ? undefined : `${name[0]}: use copyBytes, which is counted`;
    });
    assertNone(found);
  });

  it('only lib/native.ts loads the addon', () => {
    const found = complaints(under('lib'), (line, file) =>
      /(?:from|require\(|import\()\s*['"]\.\/load-addon/.test(line) && file.name !== 'lib/native.ts'
        ? 'load-addon is imported by native.ts alone'
        : undefined,
    );
    assertNone(found);
  });

  it('examples and benches use the package by name', () => {
    const inside = /^(?:lib|dist|build|src-native)\//;
    const found = complaints([...under('examples'), ...under('bench')], (line, file) => {
      const target = /(?:from|require\(|import\()\s*['"](\.[^'"]+)['"]/.exec(line)?.[1] ?? '';
      return inside.test(path.posix.join(path.posix.dirname(file.name), target))
        ? 'import io-lite by name; if that is not enough, the API misses something'
        : undefined;
    });
    assertNone(found);
  });
});

describe('the shape of files', () => {
  it('no source file is longer than 500 lines', () => {
    const isSource = (file: SourceFile): boolean =>
      /\.(h|cc|c|ts|mjs|cjs)$/.test(file.name) && !file.name.includes('.generated.');
    const tooLong = allFiles.filter((file) => isSource(file) && file.lines.length > 501);
    assertNone(tooLong.map((file) => `${file.name}:501: ${file.lines.length - 1} lines`));
  });

  it('no C++ line is longer than 100 columns', () => {
    const files = [...native, ...under('test/native')].filter((file) => !/\.def$/.test(file.name));
    assertNone(
      complaints(files, (line) => (line.length > 100 ? `${line.length} columns` : undefined)),
    );
  });

  it('every header opens with a comment that says what it is', () => {
    const headers = native.filter((file) => file.name.endsWith('.h'));
    const bare = headers.filter((file) => !/^\/\/ \S+/.test(file.lines[0] ?? ''));
    assertNone(bare.map((file) => `${file.name}:1: opens without a comment`));
  });

  it('no class of the native tests is defined in two headers', () => {
    // They are linked into one program, where the second definition would silently lose.
    const seen = new Map<string, string>();
    const headers = under('test/native').filter((file) => file.name.endsWith('.h'));
    const found = complaints(headers, (line, file) => {
      const name = /^(?:class|struct) (\w+)[^;]*$/.exec(line)?.[1];
      if (name === undefined) return undefined;
      const other = seen.get(name);
      seen.set(name, file.name);
      return other === undefined ? undefined : `${name} is defined in ${other}, too`;
    });
    assertNone(found);
  });

  it('nothing is marked as unfinished', () => {
    const mark = new RegExp(`\\b(?:${'TO'}DO\\(now\\)|${'FIX'}ME|${'X'}XX)\\b`);
    assertNone(complaints(allFiles, (line) => (mark.test(line) ? 'unfinished' : undefined)));
  });
});

describe('what is committed', () => {
  it('generated files are fresh', () => {
    for (const name of ['generate-errors.mjs', 'generate-settings.mjs']) {
      const script = path.join(root, 'scripts', name);
      const command = ['--import=tsx', script, '--check'];
      const { status, stderr } = spawnSync(process.execPath, command, { cwd: root, encoding: 'utf8' });
      assert.equal(status, 0, stderr);
    }
  });

  it('the API reference is of all that can be imported', () => {
    const read = (name: string): unknown => JSON.parse(readFileSync(path.join(root, name), 'utf8'));
    const { exports } = read('package.json') as { exports: Record<string, unknown> };
    const { entryPoints } = read('typedoc.json') as { entryPoints: string[] };
    const wanted = Object.keys(exports)
      .filter((name) => !name.endsWith('.json'))
      .map((name) => (name === '.' ? 'lib/index.ts' : `lib/${name.slice(2)}.ts`));
    assert.deepEqual([...entryPoints].sort(), wanted.sort());
  });

  it('lock files name no host', () => {
    const locks = ['package-lock.json', 'bench/package-lock.json'].filter((name) =>
      existsSync(path.join(root, name)),
    );
    const files = allFiles.filter((file) => locks.includes(file.name));
    assert.equal(files.length, locks.length);
    assertNone(
      complaints(files, (line) => (line.includes('"resolved"') ? 'has a resolved entry' : undefined)),
    );
  });

  it('no file names a path or a registry of the machine it was written on', () => {
    const folders = ['work', 'root', 'home'].join('|');
    const machinePath = new RegExp(`(?<![\\w.$}/-])/(?:${folders})/\\w`);
    const jobs = ['bash', 'jobs'].join('_');
    const found = complaints(allFiles, (line) => {
      if (machinePath.test(line) || line.includes(jobs)) return 'a path of one machine';
      return /https?:\/\/registry\./.test(line) ? 'a registry host' : undefined;
    });
    assertNone(found);
  });
});

// Codes that nothing can raise yet, and what will.
const codesNotYetTested = new Map<string, string>();

describe('errors', () => {
  const table = readFileSync(path.join(root, 'src-native/base/errors.def'), 'utf8');
  const rows = [...table.matchAll(/^IOL_ERROR\((\w+), "(ERR_IOL_\w+)"/gm)];
  const tests = under('test').filter((file) => file.name !== 'test/tidy.test.ts');

  it('each code is asserted by a test, by its name or its C++ name', () => {
    const text = tests.map((file) => file.lines.join('\n')).join('\n');
    const isTested = (name: string, code: string): boolean =>
      text.includes(code) || text.includes(`Code::${name}`);
    assert.ok(rows.length > 0);
    const untested = rows.flatMap(([, name = '', code = '']) =>
      isTested(name, code) || codesNotYetTested.has(code) ? [] : [`${code} appears in no test`],
    );
    assertNone(untested);
  });
});
