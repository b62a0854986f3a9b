// eslint, types, and (where clang-format is installed) the format of the C++ files.
//   npm run lint               says what is wrong
//   npm run lint -- --fix      and puts right what can be
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';
import { hasCommand } from './native-build.mjs';

const root = path.join(import.meta.dirname, '..');
const require = createRequire(import.meta.url);
const isFix = process.argv.includes('--fix');
const run = (command, args) => spawnSync(command, args, { cwd: root, stdio: 'inherit' }).status === 0;

const eslint = path.join(path.dirname(require.resolve('eslint/package.json')), 'bin/eslint.js');
const results = [
  run(process.execPath, [eslint, '.', ...(isFix ? ['--fix'] : [])]),
  run(process.execPath, [require.resolve('typescript/bin/tsc'), '-p', '.']),
];
if (hasCommand('clang-format')) {
  const list = spawnSync('git', ['ls-files', '*.cc', '*.h'], { cwd: root, encoding: 'utf8' }).stdout;
  const files = list.split('\n').filter((file) => file !== '');
  results.push(run('clang-format', [...(isFix ? ['-i'] : ['--dry-run', '--Werror']), ...files]));
} else {
  console.log('clang-format is not installed: the C++ format was not checked');
}
process.exitCode = results.every(Boolean) ? 0 : 1;
