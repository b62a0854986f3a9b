// A configuration file: YAML, of which JSON is a part. It is taken as a whole or not at all; each
// problem is told with its line and column.

import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, visit, type Document } from 'yaml';

import { messageOf } from './failures';
import { problemsWith, type Problem } from './schema-check';
import { propertyOf, settingOf, type Options } from './settings';

export type Config =
  | { kind: 'right'; values: Partial<Options> }
  | { kind: 'wrong'; problems: string[] };

const kFileBytesMax = 1 << 20;

export async function readConfig(file: string): Promise<Config> {
  let content: string;
  try {
    const facts = await stat(file);
    if (facts.size > kFileBytesMax) throw new Error(`it has more than ${kFileBytesMax} bytes`);
    content = await readFile(file, 'utf8');
  } catch (error) {
    return { kind: 'wrong', problems: [`${file}: ${messageOf(error)}`] };
  }
  return parseConfig(content, file);
}

export function parseConfig(content: string, file: string): Config {
  const lines = new LineCounter();
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  const document = parseDocument(content, { lineCounter: lines, prettyErrors: false });
  const faults = [...document.errors, ...document.warnings];
  if (faults.length > 0) {
    return wrong(faults.map(({ pos: [offset], code, message }) => ({
      offset, text: code === 'DUPLICATE_KEY' ? `${keyAt(document, offset)} is there twice` : message,
    })), at);
  }
  let raw: unknown;
  try {
    raw = document.toJS({ maxAliasCount: 100 }) ?? {};
  } catch (error) {
    return wrong([{ offset: 0, text: messageOf(error) }], at);
  }
  const problems = problemsWith(raw);
  if (problems.length > 0) {
    return wrong(problems.map((problem) => ({
      offset: offsetOf(document, problem), text: textOf(document, problem),
    })), at);
  }
  const folder = dirname(resolve(file));
  const values = Object.entries(raw as Record<string, unknown>).map(([name, value]) => {
    const property = propertyOf(name) as keyof Options;
    return [property, settingOf(property).toValue(value, folder)] as const;
  });
  return { kind: 'right', values: Object.fromEntries(values) };
}

// Where a setting is in the file, if it is there.
export async function placeInConfig(file: string, name: string): Promise<string | undefined> {
  const lines = new LineCounter();
  const document = parseDocument(await readFile(file, 'utf8'), { lineCounter: lines });
  if (!document.has(name)) return undefined;
  const { line, col } = lines.linePos(offsetOf(document, { path: [name], isOfKey: false, message: '' }));
  return `${file}:${line}:${col}`;
}

function wrong(
  problems: { offset: number; text: string }[], at: (offset: number) => string,
): Config {
  problems.sort((a, b) => a.offset - b.offset);
  return { kind: 'wrong', problems: problems.map(({ offset, text }) => `${at(offset)}: ${text}`) };
}

function keyAt(document: Document, offset: number): string {
  let name = 'a name';
  visit(document, {
    Pair(_, { key }) {
      if (isScalar(key) && key.range?.[0] === offset) name = String(key.value);
    },
  });
  return name;
}

function textOf(document: Document, { path, isOfKey, message }: Problem): string {
  if (path.length === 0) return `it ${message}`;
  if (isOfKey && path.length === 1) return `${path[0] as string} ${message}`;
  const value = isOfKey ? path.at(-1) : document.getIn(path);
  const shown = isNode(value) ? value.toString().trim() : JSON.stringify(value);
  return `${path[0] as string} ${message}, not ${shown.slice(0, 100)}`;
}

// Where the value of a problem begins in the file, or its name.
function offsetOf(document: Document, { path, isOfKey }: Problem): number {
  let node: unknown = document.contents;
  let offset = 0;
  path.forEach((part, depth) => {
    if (isSeq(node)) {
      node = node.items[Number(part)];
    } else if (isMap(node)) {
      const pair = node.items.find(({ key }) =>
        (isScalar(key) ? String(key.value) : String(key)) === part);
      const isLast = depth === path.length - 1;
      node = isLast && isOfKey ? pair?.key : pair?.value ?? pair?.key;
    }
    if (isNode(node)) offset = node.range?.[0] ?? offset;
  });
  return offset;
}
