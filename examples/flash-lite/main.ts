// The command: options, one line when ready, signals, exit codes (0 stopped, 1 failed, 2 misused).

import { stat } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { resolve } from 'node:path';

import { version } from 'io-lite';

import { readConfig } from './config';
import { messageOf, reasonOf } from './failures';
import { FlashLite } from './flash-lite';
import { kHelp, parseCommandLine, type CommandLine } from './options';
import { combine, kConfigSchema, type Options } from './settings';

type Serve = Extract<CommandLine, { kind: 'serve' }>;

export async function main(argv: readonly string[], defaultRoot = '.'): Promise<void> {
  surviveLostReaders();
  const commandLine = parseCommandLine(argv);
  switch (commandLine.kind) {
    case 'help':
      process.stdout.write(kHelp);
      return;
    case 'version':
      process.stdout.write(`flash-lite ${version}\n`);
      return;
    case 'wrong':
      complain(`${commandLine.message} (flash-lite --help lists the options)`, 2);
      return;
    case 'schema':
      process.stdout.write(`${JSON.stringify(kConfigSchema, null, 2)}\n`);
      return;
    case 'serve': {
      const options = await optionsOf(commandLine);
      if (options === undefined) return;
      if (commandLine.isCheck) process.stdout.write('flash-lite: the settings are right\n');
      else await serve(options, resolve(options.root ?? defaultRoot));
    }
  }
}

// Undefined when the file is wrong, of which all problems have been told.
async function optionsOf({ values, configFile }: Serve): Promise<Options | undefined> {
  if (configFile === undefined) return combine(values);
  const config = await readConfig(configFile);
  if (config.kind === 'right') return combine(config.values, values);
  for (const problem of config.problems) complain(problem, 2);
  return undefined;
}

async function serve(options: Options, root: string): Promise<void> {
  const problem = await problemWith(root);
  if (problem !== undefined) return complain(`cannot serve ${root}: ${problem}`, 1);
  let server: FlashLite;
  try {
    server = await FlashLite.listen({ ...options, root });
  } catch (error) {
    const address = `${bracketed(options.host)}:${options.port}`;
    return complain(`cannot listen on ${address}: ${explain(error)}`, 1);
  }
  stopOnSignals(server, options.finishTimeoutMs);
  const address = `http://${bracketed(options.host)}:${server.port}`;
  process.stdout.write(`flash-lite: serving ${root} on ${address}\n`);
}

async function problemWith(root: string): Promise<string | undefined> {
  try {
    return (await stat(root)).isDirectory() ? undefined : 'it is not a directory';
  } catch (error) {
    return explain(error);
  }
}

// A signal may come twice, from npm and from the terminal; the second one changes nothing.
function stopOnSignals(server: FlashLite, finishTimeoutMs: number): void {
  let isStopping = false;
  const stop = (): void => {
    if (isStopping) return;
    isStopping = true;
    server.close(finishTimeoutMs).then(() => process.exit(0), (error: unknown) => {
      complain(`could not stop in order: ${explain(error)}`, 1);
      process.exit();
    });
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

function complain(message: string, exitCode: number): void {
  process.stderr.write(`flash-lite: ${message}\n`);
  process.exitCode = exitCode;
}

const kExplanations: Record<string, string> = {
  EADDRINUSE: 'the address is in use',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'permission denied',
  ENOENT: 'it does not exist',
  ENOTDIR: 'it does not exist',
};

function explain(error: unknown): string {
  const reason = reasonOf(error);
  const explanation = kExplanations[reason];
  return explanation === undefined ? messageOf(error) : `${explanation} (${reason})`;
}

function bracketed(host: string): string {
  return isIPv6(host) ? `[${host}]` : host;
}

// Whoever read our lines may go before us: that ends the lines, not the server.
function surviveLostReaders(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
}

if (require.main === module) void main(process.argv.slice(2));
