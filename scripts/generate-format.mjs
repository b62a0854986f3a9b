// Keeps docs/format.md true to the code. The page is written by hand; in the tables after
//   <!-- struct NAME -->     offset, bytes, name, type  and the line above with the size
//   <!-- enum NAME -->       value, name
//   <!-- constants FILE -->  name, value
// everything but the last column is the compiler's: a program made from the headers below prints
// it. Every struct, enumerator and constant of those headers must be there, with its meaning.
// lib/layout.generated.ts has the same numbers for the code that looks at a window from outside.
// With --check nothing is written and a stale page is a failure. --root DIR: another tree.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { chooseCompiler } from './native-build.mjs';

// What crosses a process border; a struct with a vector in it does not.
const headers = [
  'window/layout.h', 'cache/index_layout.h', 'channel/ring_layout.h', 'pool/access_list.h',
  'channel/control_messages.h', 'channel/opening_message.h', 'pool/facts_layout.h',
  'channel/host_facts_layout.h',
];

const { values: options } = parseArgs({
  options: { check: { type: 'boolean', default: false }, root: { type: 'string' } },
});
const root = options.root ?? path.join(import.meta.dirname, '..');
const pageFile = path.join(root, 'docs/format.md');

// The declarations of a header, without comments.
function parseHeader(file) {
  const text = readFileSync(path.join(root, 'src-native', file), 'utf8').replace(/\/\/.*$/gm, '');
  const aliases = [...text.matchAll(/^using (\w+) = ([^;]+);/gm)];
  const enums = [...text.matchAll(/enum class (\w+) : uint32_t \{([^}]*)\}/g)].map(([, name, body]) => ({
    name,
    items: [...body.matchAll(/(\w+)\s*(?:=[^,]*)?(?:,|$)/g)].map(([, item]) => item),
  }));
  const structs = [...text.matchAll(/^struct\s+(\w+)\s*\{([\s\S]*?)^\};/gm)]
    .filter(([, , body]) => !body.includes('std::vector'))
    .map(([, name, body]) => ({
      name,
      fields: [
        ...body
          .replace(/enum class[^}]*\};/g, '')
          .matchAll(/(?:alignas\(\w+\)\s*)?\b([\w:]+)\s+(\w+)((?:\[\w+\])*)\s*(?:=[^;]*|\{[^;]*\})?;/g),
      ].map(([, type, field, array]) => ({ type, name: field, array })),
    }));
  const constants = [...text.matchAll(/^constexpr (?:u?int\d+_t|size_t) (\w+)\s*=/gm)].map(([, name]) => name);
  return { file, aliases, enums, structs, constants };
}

const parsed = headers.map(parseHeader);
const structs = parsed.flatMap((each) => each.structs);
// An enum inside a struct is named by it.
const enums = parsed.flatMap((each) => each.enums);
const aliases = new Map(parsed.flatMap((each) => each.aliases).map(([, name, type]) => [name, type]));
const ownerOf = new Map([['Kind', 'AccessEntry::Kind']]);

// The compiler's word on sizes, offsets and values.
function probe() {
  const lines = [];
  for (const { name, fields } of structs) {
    lines.push(`  line("struct ${name}", sizeof(${name}), 0);`);
    for (const field of fields) {
      const what = `${name}.${field.name}`;
      lines.push(
        `  line("field ${what}", offsetof(${name}, ${field.name}), sizeof(${name}::${field.name}));`,
      );
    }
  }
  for (const { name, items } of enums) {
    const type = ownerOf.get(name) ?? name;
    for (const item of items) lines.push(`  line("enum ${name}.${item}", uint64_t(${type}::${item}), 0);`);
  }
  for (const { constants } of parsed) {
    for (const name of constants) lines.push(`  line("constant ${name}", ${name}, 0);`);
  }
  const program = `${headers.map((file) => `#include "${file}"\n`).join('')}
#include <cstddef>
#include <cstdio>
using namespace iol;
static void line(const char* what, uint64_t one, uint64_t other) {
  std::printf("%s %llu %llu\\n", what, (unsigned long long)one, (unsigned long long)other);
}
int main() {
${lines.join('\n')}
}
`;
  const folder = mkdtempSync(path.join(tmpdir(), 'io-lite-format-'));
  try {
    const binary = path.join(folder, 'probe');
    const compiled = spawnSync(
      chooseCompiler(),
      ['-std=gnu++20', '-Wno-invalid-offsetof', `-iquote${path.join(root, 'src-native')}`, '-x', 'c++', '-', '-o', binary],
      { input: program, encoding: 'utf8' },
    );
    if (compiled.status !== 0) throw new Error(compiled.stderr);
    const { stdout } = spawnSync(binary, { encoding: 'utf8' });
    const facts = new Map();
    for (const [, what, one, other] of stdout.matchAll(/^(.*) (\d+) (\d+)$/gm)) {
      facts.set(what, [BigInt(one), Number(other)]);
    }
    return facts;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const facts = probe();
const problems = [];

function typeName({ type, array }) {
  const resolved = aliases.get(type) ?? type;
  const atomic = /^std::atomic<(\w+)>$/.exec(resolved)?.[1];
  const plain = (atomic ?? resolved).replace(/^uint(\d+)_t$/, 'u$1').replace(/^.*::/, '');
  const length = array.replace(/\[(\w+)\]/g, (_, bound) => `[${facts.get(`constant ${bound}`)?.[0] ?? bound}]`);
  return `${atomic === undefined ? '' : 'atomic '}${plain}${length}`;
}

const valueText = (value) => (value >= 0x1_0000_0000n ? `0x${value.toString(16)}` : `${value}`);

// [key, cells before the meaning] of each row, in order.
function rowsOf(kind, name) {
  if (kind === 'struct') {
    const { fields } = structs.find((each) => each.name === name);
    let end = 0;
    const rows = [];
    const pad = (from, to) => {
      if (from < to) rows.push([`unused at ${from}`, [from, to - from, '', ''], 'unused, zero']);
    };
    const [size] = facts.get(`struct ${name}`);
    for (const field of fields) {
      const [offset, bytes] = facts.get(`field ${name}.${field.name}`);
      pad(end, Number(offset));
      rows.push([field.name, [Number(offset), bytes, `\`${field.name}\``, typeName(field)]]);
      end = Number(offset) + bytes;
    }
    pad(end, Number(size));
    return rows;
  }
  if (kind === 'enum') {
    const { items } = enums.find((each) => each.name === name);
    return items.map((item) => [item, [facts.get(`enum ${name}.${item}`)[0], `\`${item}\``]]);
  }
  const { constants } = parsed.find((each) => each.file === name);
  return constants.map((each) => [each, [`\`${each}\``, valueText(facts.get(`constant ${each}`)[0])]]);
}

const titles = {
  struct: ['offset', 'bytes', 'name', 'type', 'meaning'],
  enum: ['value', 'name', 'meaning'],
  constants: ['name', 'value', 'meaning'],
};

function table(kind, name, oldRows) {
  const meanings = new Map();
  for (const row of oldRows) {
    const cells = row.split('|').slice(1, -1).map((cell) => cell.trim());
    const key = cells[titles[kind].indexOf('name')]?.replaceAll('`', '');
    if (key !== '') meanings.set(key, cells.at(-1));
  }
  const lines = rowsOf(kind, name).map(([key, cells, fixed]) => {
    const meaning = fixed ?? meanings.get(key);
    if (!meaning) problems.push(`docs/format.md: ${name}: say what ${key} means`);
    return `| ${[...cells, meaning ?? ''].join(' | ')} |`;
  });
  const title = titles[kind];
  const rule = title.map((each) => (['offset', 'bytes', 'value'].includes(each) ? '---:' : '---'));
  return [`| ${title.join(' | ')} |`, `| ${rule.join(' | ')} |`, ...lines].join('\n');
}

const page = readFileSync(pageFile, 'utf8');
const seen = new Set();
const marker = /<!-- (struct|enum|constants) (\S+) -->\n(?:\*\*.*\n\n)?((?:\|.*\n)*)/g;
const wanted = page.replace(marker, (_, kind, name, body) => {
  seen.add(`${kind} ${name}`);
  const isKnown = kind === 'constants' ? headers.includes(name) : [...structs, ...enums].some((each) => each.name === name);
  if (!isKnown) {
    problems.push(`docs/format.md: there is no ${kind} ${name}`);
    return _;
  }
  const file = parsed.find((each) => [...each.structs, ...each.enums].some((one) => one.name === name))?.file ?? name;
  const title = kind === 'struct' ? `**\`${name}\`**, ${facts.get(`struct ${name}`)[0]} bytes (\`${file}\`)\n\n` : '';
  const oldRows = body.split('\n').slice(2).filter(Boolean);
  return `<!-- ${kind} ${name} -->\n${title}${table(kind, name, oldRows)}\n`;
});

for (const each of structs) if (!seen.has(`struct ${each.name}`)) problems.push(`docs/format.md: struct ${each.name} is missing`);
for (const each of enums) if (!seen.has(`enum ${each.name}`)) problems.push(`docs/format.md: enum ${each.name} is missing`);
for (const each of parsed) {
  if (each.constants.length > 0 && !seen.has(`constants ${each.file}`)) {
    problems.push(`docs/format.md: the constants of ${each.file} are missing`);
  }
}

// Only what lies in shared memory: the control plane is the native side's business.
const inMemory = parsed.filter(({ file }) => !/control_messages|opening_message/.test(file));
const layouts = inMemory.flatMap(({ structs: list }) => list).map(({ name, fields }) => {
  const places = fields.map(({ name: field }) => `${field}: [${facts.get(`field ${name}.${field}`).map(Number).join(', ')}]`);
  return `  ${name}: {\n    bytes: ${facts.get(`struct ${name}`)[0]},\n    ${places.join(',\n    ')},\n  },`;
});
const numbers = inMemory.flatMap(({ constants }) => constants).map((name) => {
  const [value] = facts.get(`constant ${name}`);
  return `export const ${name} = ${value}${value > Number.MAX_SAFE_INTEGER ? 'n' : ''};`;
});
const names = inMemory.flatMap(({ enums: list }) => list).map(({ name, items }) => {
  const values = items.map((item) => `${item}: ${facts.get(`enum ${name}.${item}`)[0]}`);
  return `export const ${name} = { ${values.join(', ')} } as const;`;
});
const typescript = `// Generated by scripts/generate-format.mjs from the headers of src-native; do not edit.

${numbers.join('\n')}

${names.join('\n')}

/** Of each struct: its size, and offset and size of each field. */
export const layouts = {
${layouts.join('\n')}
} as const;
`;

function settle(file, text) {
  let current = '';
  try {
    current = readFileSync(path.join(root, file), 'utf8');
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  if (current === text) return;
  if (options.check) problems.push(`${file}: stale, run "npm run generate"`);
  else writeFileSync(path.join(root, file), text);
}
settle('docs/format.md', wanted);
settle('lib/layout.generated.ts', typescript);
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exitCode = 1;
