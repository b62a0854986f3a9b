// Writes the list of options into examples/flash-lite/README.md, from the table of settings. To be
// run with `node --import tsx`. With --check it writes nothing and fails when the list is stale.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { kOptionsHelp } from '../examples/flash-lite/options.ts';

const file = path.join(import.meta.dirname, '..', 'examples', 'flash-lite', 'README.md');
const old = readFileSync(file, 'utf8');
const list = /(<!-- settings -->\n)[\s\S]*(<!-- \/settings -->)/;
if (!list.test(old)) throw new Error(`${file} has no place for the settings`);
const fresh = old.replace(list, (_, begin, end) => `${begin}\`\`\`\n${kOptionsHelp}\n\`\`\`\n${end}`);
if (fresh !== old) {
  if (process.argv.includes('--check')) {
    console.error('examples/flash-lite/README.md is stale: npm run generate');
    process.exit(1);
  }
  writeFileSync(file, fresh);
}
