// The C++ benches bench/native/*_bench.cc, built with the core and run; each figure of theirs is a row `ns/op`.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import sources from '../../scripts/list-sources.cjs';
import { buildPrograms, chooseCompiler, coreSources } from '../../scripts/native-build.mjs';

// They print `name  12.3 ns`, or a table whose heading `nanoseconds, by THING  1  1024` says what the columns are.
const single = /^(\S.*?):?\s{2,}([\d.]+) ns\b/;
const heading = /^nanoseconds, by (.+?)((?:\s+[\d,]+)+)\s*$/;
const columns = /^(\S.*?)((?:\s+[\d.]+)+)\s*$/;

const words = (text) => text.trim().split(/\s+/);

function rowsOf(bench, output) {
  const rows = [];
  const add = (name, value) =>
    rows.push({ bench, case: name.replace(/\s+/g, ' '), subject: 'io-lite', metric: 'ns/op', value: Number(value), unit: 'ns' });
  let table;
  for (const line of output.split('\n')) {
    const head = heading.exec(line);
    if (head) table = { thing: head[1], of: words(head[2]) };
    const one = single.exec(line);
    if (one) add(one[1], one[2]);
    const many = !head && !one && table && columns.exec(line);
    if (!many || words(many[2]).length !== table.of.length) continue;
    words(many[2]).forEach((value, i) => add(`${many[1]}, ${table.thing}: ${table.of[i]}`, value));
  }
  return rows;
}

export const nativeSuites = () =>
  sources.sourcesIn('bench/native').map((file) => path.basename(file, '.cc').replace(/_bench$/, ''));

/** The rows of one native bench. Throws when it does not compile or fails. */
export async function runNative(name) {
  const source = `bench/native/${name}_bench.cc`;
  const built = await buildPrograms({
    folder: 'build/native-bench', compiler: chooseCompiler(), flags: ['-O2'],
    programs: { [`${name}_bench`]: [...coreSources(), source] },
  });
  const { status, stdout, stderr } = spawnSync(built[`${name}_bench`], [], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${source} ended with ${status}\n${stderr}`);
  const rows = rowsOf(`native-${name}`, stdout);
  if (rows.length === 0) throw new Error(`${source} printed no figure that is understood:\n${stdout}`);
  return rows;
}
