// The command line: text in, checked settings out. Knows nothing of files or sockets.

import { problemsWith } from './schema-check';
import {
  kProperties, propertyOf, settingOf, type Options, type Property,
} from './settings';

export type CommandLine =
  | { kind: 'serve'; values: Partial<Options>; configFile: string | undefined; isCheck: boolean }
  | { kind: 'help' }
  | { kind: 'version' }
  | { kind: 'schema' }
  | { kind: 'wrong'; message: string };

// What is asked of the command itself; everything else is a setting.
const kCommands: readonly { usage: string; help: string }[] = [
  {
    usage: '--config FILE',
    help: 'read settings from FILE, YAML or JSON: `name: value`, with the names of these options; ' +
      'the command line wins. SIGHUP reads it again',
  },
  { usage: '--check', help: 'say whether the settings are right and what they name is there, and exit' },
  { usage: '--schema', help: 'print the JSON schema of a configuration file and exit' },
  { usage: '-h, --help', help: 'print this and exit' },
  { usage: '--version', help: 'print the version and exit' },
];

const kHelpColumns = 100;
const kUsageColumns = 26;

function helpLines(usage: string, help: string): string[] {
  const lines = [''];
  for (const word of help.split(' ')) {
    const line = lines.at(-1) as string;
    if (line.length + word.length + 1 > kHelpColumns - kUsageColumns) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  const indent = ' '.repeat(kUsageColumns);
  const first = `  ${usage}  `.padEnd(kUsageColumns);
  if (first.length > kUsageColumns) return [first.trimEnd(), ...lines.map((line) => indent + line)];
  return lines.map((line, i) => (i === 0 ? first : indent) + line);
}

export const kOptionsHelp = [
  ...kProperties.map(settingOf).map(({ name, argument, help }) =>
    ({ usage: `--${name} ${argument}`.trimEnd(), help })),
  ...kCommands,
].flatMap(({ usage, help }) => helpLines(usage, help)).join('\n');

export const kHelp = `Usage: flash-lite [options]

Serves the files below a directory. Each byte is read once into the window and sent from there.

${kOptionsHelp}

SIGTERM and SIGINT stop it: what is being sent is finished (see --finish-timeout-ms); a second one, a
second later or more, cuts that. SIGHUP reads files again, SIGUSR1 and SIGUSR2 open the logs anew.
`;

class WrongOption extends Error {}

export function parseCommandLine(argv: readonly string[]): CommandLine {
  try {
    return parse(argv);
  } catch (error) {
    if (error instanceof WrongOption) return { kind: 'wrong', message: error.message };
    throw error;
  }
}

function parse(argv: readonly string[]): CommandLine {
  const values: Partial<Record<Property, unknown>> = {};
  let configFile: string | undefined;
  let isCheck = false;
  let asked: 'help' | 'version' | 'schema' | undefined;
  const rest = [...argv];
  while (rest.length > 0) {
    const argument = rest.shift() as string;
    const equals = argument.startsWith('--') ? argument.indexOf('=') : -1;
    const name = equals < 0 ? argument : argument.slice(0, equals);
    const given = equals < 0 ? undefined : argument.slice(equals + 1);
    const property = name.startsWith('--') ? propertyOf(name.slice(2)) : undefined;
    if (property !== undefined) {
      const { argument: usage, merge } = settingOf(property);
      const text = usage === '' ? flagOf(name, given) : valueOf(name, given, rest);
      const value = valueFrom(property, text);
      const before = values[property];
      values[property] = before !== undefined && merge ? merge(value, before) : value;
      continue;
    }
    switch (name) {
      case '--config': configFile = nonEmpty(name, valueOf(name, given, rest)); break;
      case '--check': flagOf(name, given); isCheck = true; break;
      case '--schema': flagOf(name, given); asked ??= 'schema'; break;
      case '-h':
      case '--help': flagOf(name, given); asked ??= 'help'; break;
      case '--version': flagOf(name, given); asked ??= 'version'; break;
      default: throw new WrongOption(
        name.startsWith('-') ? `unknown option ${name}` : `unexpected argument "${name}"`);
    }
  }
  if (asked !== undefined) return { kind: asked };
  return { kind: 'serve', values: values as Partial<Options>, configFile, isCheck };
}

function valueFrom(property: Property, text: string): unknown {
  const { name, schema, expected, fromText, toValue } = settingOf(property);
  if (schema['minLength'] !== undefined) nonEmpty(`--${name}`, text);
  const raw = fromText(text);
  if (raw === undefined || problemsWith({ [name]: raw }).length > 0) {
    throw new WrongOption(`--${name} must be ${expected}, not "${text}"`);
  }
  return toValue(raw, process.cwd());
}

function valueOf(name: string, given: string | undefined, rest: string[]): string {
  const value = given ?? rest.shift();
  if (value === undefined || (given === undefined && value.startsWith('--'))) {
    throw new WrongOption(`option ${name} needs a value`);
  }
  return value;
}

function flagOf(name: string, given: string | undefined): string {
  if (given !== undefined) throw new WrongOption(`option ${name} takes no value`);
  return '';
}

function nonEmpty(name: string, value: string): string {
  if (value === '') throw new WrongOption(`option ${name} needs a value`);
  return value;
}
