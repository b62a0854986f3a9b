// The C++ benches bench/native/*_bench.cc, linked with the core that the addon has, and run; each figure of theirs is
// a row `ns/op`.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import sources from '../../scripts/list-sources.cjs';

const root = path.join(import.meta.dirname, '../..');
const core = 'build/Release/obj.target/iolite_core.a';

// They print `name  12.3 ns`, `name  1.2 times`, or a table whose heading `nanoseconds, by THING  1  1024` says what the columns are.
const single = /^(\S.*?):?\s{2,}([\d.]+) (ns|times)\b/;
const heading = /^nanoseconds, by (.+?)((?:\s+[\d,]+)+)\s*$/;
const columns = /^(\S.*?)((?:\s+[\d.]+)+)\s*$/;

const words = (text) => text.trim().split(/\s+/);

function rowsOf(bench, output) {
  const rows = [];
  const add = (name, value, unit = 'ns') => {
    const measure = unit === 'ns' ? { metric: 'ns/op', unit } : { metric: 'ratio', unit: '1' };
    rows.push({ bench, case: name.replace(/\s+/g, ' '), subject: 'io-lite', value: Number(value), ...measure });
  };
  let table;
  for (const line of output.split('\n')) {
    const head = heading.exec(line);
    if (head) table = { thing: head[1], of: words(head[2]) };
    const one = single.exec(line);
    if (one) add(one[1], one[2], one[3]);
    const many = !head && !one && table && columns.exec(line);
    if (!many || words(many[2]).length !== table.of.length) continue;
    words(many[2]).forEach((value, i) => add(`${many[1]}, ${table.thing}: ${table.of[i]}`, value));
  }
  return rows;
}

export const nativeSuites = () =>
  sources.sourcesIn('bench/native').map((file) => path.basename(file, '.cc').replace(/_bench$/, ''));

function run(command, args) {
  const { status, error, stdout, stderr } = spawnSync(command, args, { cwd: root, encoding: 'utf8' });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ended with ${status}\n${stderr}`);
  return stdout;
}

/** The rows of one native bench. `scratch` is a folder for the program. Throws when it does not compile or fails. */
export function runNative(name, scratch) {
  const program = path.join(scratch, `${name}_bench`);
  const source = `bench/native/${name}_bench.cc`;
  const flags = ['-std=gnu++20', '-O2', '-fno-exceptions', '-fno-rtti', '-pthread', '-iquotesrc-native', '-iquotetest/native'];
  run('g++', [...flags, '-o', program, source, core]);
  const rows = rowsOf(`native-${name}`, run(program, []));
  if (rows.length === 0) throw new Error(`${source} printed no figure that is understood`);
  return rows;
}
