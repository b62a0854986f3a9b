// The command: options, one line when ready, signals, exit codes (0 stopped, 1 failed, 2 misused).

import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';

import { version } from 'io-lite';

import { readConfig } from './config';
import { messageOf, reasonOf } from './failures';
import { log } from './log';
import { kHelp, parseCommandLine, type CommandLine } from './options';
import { showAddress, showPlace, type Place } from './place';
import { bindPlace, takeInherited, type Bound } from './places';
import { dropPrivileges, writePidFile } from './privileges';
import { Server } from './server';
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
      if ('problems' in options) for (const problem of options.problems) complain(problem, 2);
      else if (commandLine.isCheck) process.stdout.write('flash-lite: the settings are right\n');
      else await serve(commandLine, options, defaultRoot);
    }
  }
}

async function optionsOf({ values, configFile }: Serve): Promise<Options | { problems: string[] }> {
  if (configFile === undefined) return combine(values);
  const config = await readConfig(configFile);
  if (config.kind === 'wrong') return { problems: config.problems };
  const { listen, ...others } = config.values;
  const isElsewhere = values.host !== undefined || values.port !== undefined;
  return combine(isElsewhere || listen === undefined ? others : config.values, values);
}

async function serve(commandLine: Serve, options: Options, defaultRoot: string): Promise<void> {
  const root = resolve(options.root ?? defaultRoot);
  const problem = await problemWith(root);
  if (problem !== undefined) return complain(`cannot serve ${root}: ${problem}`, 1);
  const sockets: Bound[] = [];
  for (const place of placesOf(options)) {
    try {
      sockets.push(await bindPlace(place, options));
    } catch (error) {
      const shown = place.kind === 'address' ? showAddress(place) : showPlace(place);
      return complain(`cannot listen on ${shown}: ${explain(error)}`, 1);
    }
  }
  let removePidFile = (): void => undefined;
  let server: Server;
  try {
    if (options.pidFile !== undefined) removePidFile = writePidFile(options.pidFile);
    dropPrivileges(options, sockets);
    server = await Server.listen({ ...options, root }, sockets);
  } catch (error) {
    removePidFile();
    return complain(`cannot start: ${explain(error)}`, 1);
  }
  stopOnSignals(server, removePidFile);
  process.on('SIGUSR2', () => server.reopenLogs());
  if (commandLine.configFile !== undefined) reloadOnHangup(server, commandLine, defaultRoot);
  const shown = server.listeners.map(({ host, port, path }) =>
    showPlace(path === undefined ? { kind: 'address', host, port } : { kind: 'path', path }));
  process.stdout.write(`flash-lite: serving ${root} on ${shown.join(', ')}\n`);
}

function placesOf({ listen, host, port }: Options): Place[] {
  const inherited = takeInherited(process.env);
  if (listen.length > 0 || inherited.length > 0) return [...inherited, ...listen];
  return [{ kind: 'address', host, port }];
}

// One after the other. Wrong settings are told, and the old ones stay.
function reloadOnHangup(server: Server, commandLine: Serve, defaultRoot: string): void {
  let last = Promise.resolve();
  process.on('SIGHUP', () => {
    last = last.then(() => reload(server, commandLine, defaultRoot));
  });
}

async function reload(server: Server, commandLine: Serve, defaultRoot: string): Promise<void> {
  const file = commandLine.configFile as string;
  const refuse = (problems: string[]): void => {
    for (const problem of problems) log(problem);
    log(`${file} is wrong: the settings stay as they were`);
  };
  try {
    const options = await optionsOf(commandLine);
    if ('problems' in options) return refuse(options.problems);
    const root = resolve(options.root ?? defaultRoot);
    const problem = await problemWith(root);
    if (problem !== undefined) return refuse([`cannot serve ${root}: ${problem}`]);
    const ignored = await server.reload({ ...options, root });
    for (const name of ignored) log(`${name} has changed: that takes a new start`);
    log(`the settings are those of ${file} again`);
  } catch (error) {
    refuse([explain(error)]);
  }
}

async function problemWith(root: string): Promise<string | undefined> {
  try {
    return (await stat(root)).isDirectory() ? undefined : 'it is not a directory';
  } catch (error) {
    return explain(error);
  }
}

// A signal may come twice, from npm and from the terminal; the second one changes nothing.
function stopOnSignals(server: Server, removePidFile: () => void): void {
  let isStopping = false;
  const stop = (): void => {
    if (isStopping) return;
    isStopping = true;
    server.close(server.finishTimeoutMs).then(() => {
      removePidFile();
      process.exit(0);
    }, (error: unknown) => {
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

// Whoever read our lines may go before us: that ends the lines, not the server.
function surviveLostReaders(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
}

if (require.main === module) void main(process.argv.slice(2));
