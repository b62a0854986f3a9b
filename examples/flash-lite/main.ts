// The command: options, one line when ready, signals, exit codes (0 stopped, 1 failed, 2 misused).

import { resolve } from 'node:path';

import { version } from 'io-lite';

import { isSecureByDefault, readCredentials, type Credentials } from './certificate';
import { findMissing } from './checks';
import { placeInConfig, readConfig } from './config';
import { explain, SettingProblem } from './failures';
import type { FlashLiteOptions } from './flash-lite';
import { log } from './log';
import { openLogs } from './log-file';
import { kHelp, parseCommandLine, type CommandLine } from './options';
import { showAddress, showPlace, type Place } from './place';
import { bindPlace, remover, takeInherited, type Bound } from './places';
import { dropPrivileges, writePidFile } from './privileges';
import { Server } from './server';
import { combine, kConfigSchema, propertyOf, settingOf, type Options } from './settings';

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
      const settings = await settingsOf(commandLine, defaultRoot);
      if (settings.kind === 'wrong') return complainOfAll(settings.problems, settings.exitCode);
      const places = placesOf(settings.options);
      const misfit = misfitOf(places, settings);
      if (misfit !== undefined) return complainOfAll([misfit], 2);
      if (!commandLine.isCheck) return serve(commandLine, settings, places, defaultRoot);
      complainOfAll(settings.problems, 1);
      if (settings.problems.length === 0) process.stdout.write('flash-lite: the settings are right\n');
    }
  }
}

interface Settings {
  kind: 'right';
  options: FlashLiteOptions;
  credentials: Credentials | undefined;
  problems: string[];  // With what can be done without.
}

interface WrongSettings {
  kind: 'wrong';
  problems: string[];
  exitCode: 1 | 2;
}

// What the command line and the files say, and the files that those name. While we serve, what only a
// new start changes may be missing.
async function settingsOf(
  commandLine: Serve, defaultRoot: string, isServing = false,
): Promise<Settings | WrongSettings> {
  const given = await optionsOf(commandLine);
  if ('problems' in given) return { kind: 'wrong', ...given, exitCode: 2 };
  const options = { ...given, root: resolve(given.root ?? defaultRoot) };
  const missing = await findMissing(options);
  const needed = missing.needed.filter(({ setting }) => !isServing || !isFixed(setting));
  const credentials = await readCredentials(options).catch(asProblem);
  const isWrong = credentials instanceof SettingProblem;
  if (isWrong) needed.unshift(credentials);
  const problems = await Promise.all(
    [...needed, ...missing.others].map((each) => explainAt(commandLine, each)));
  if (isWrong || needed.length > 0) return { kind: 'wrong', problems, exitCode: isWrong ? 2 : 1 };
  return { kind: 'right', options, credentials, problems };
}

function asProblem(error: unknown): SettingProblem {
  if (error instanceof SettingProblem) return error;
  throw error;
}

function isFixed(name: string): boolean {
  return settingOf(propertyOf(name) as keyof Options).isFixed;
}

// With the place where the setting is given.
async function explainAt({ configFile, values }: Serve, error: unknown): Promise<string> {
  if (!(error instanceof SettingProblem)) return explain(error);
  const { setting, message } = error;
  const isGiven = values[propertyOf(setting) as keyof Options] !== undefined;
  const place = configFile === undefined || isGiven ? undefined : await placeInConfig(configFile, setting);
  return `${place === undefined ? '--' : `${place}: `}${setting}: ${message}`;
}

async function optionsOf({ values, configFile }: Serve): Promise<Options | { problems: string[] }> {
  if (configFile === undefined) return combine(values);
  const config = await readConfig(configFile);
  if (config.kind === 'wrong') return { problems: config.problems };
  const { listen, ...others } = config.values;
  const isElsewhere = values.host !== undefined || values.port !== undefined;
  return combine(isElsewhere || listen === undefined ? others : config.values, values);
}

async function serve(
  commandLine: Serve, { options, credentials, problems }: Settings, places: readonly Place[],
  defaultRoot: string,
): Promise<void> {
  const sockets: Bound[] = [];
  const undo: (() => void)[] = [];  // Of a start that fails: files that others would take for a server.
  for (const place of places) {
    try {
      const socket = await bindPlace(place, options);
      sockets.push(socket);
      undo.push(remover(socket));
    } catch (error) {
      for (const step of undo) step();
      const shown = place.kind === 'address' ? showAddress(place) : showPlace(place);
      return complain(`cannot listen on ${shown}: ${explain(error)}`, 1);
    }
  }
  let removePidFile = (): void => undefined;
  let server: Server | undefined;
  // Before anybody can know our process id: without a listener SIGUSR1 opens Node's inspector, and
  // the others end us.
  reopenOnSignals(() => server);
  reloadOnHangup(() => server, commandLine, defaultRoot);
  try {
    if (options.pidFile !== undefined) removePidFile = writePidFile(options.pidFile);
    const logs = await dropPrivileges(options, sockets, () => openLogs(options));
    server = await Server.listen(options, sockets, credentials, logs);
  } catch (error) {
    for (const step of [...undo, removePidFile]) step();
    return complain(`cannot start: ${await explainAt(commandLine, error)}`, 1);
  }
  for (const problem of problems) log(problem);
  stopOnSignals(server, removePidFile);
  const shown = server.listeners.map(({ host, port, path, isSecure }) => showPlace(path === undefined
    ? { kind: 'address', host, port, isSecure } : { kind: 'path', path, isSecure }));
  process.stdout.write(`flash-lite: serving ${options.root} on ${shown.join(', ')}\n`);
}

// What is wrong with the places as a whole, those that we inherit among them.
function misfitOf(places: readonly Place[], { options, credentials }: Settings): string | undefined {
  const bare = places.find(({ isSecure }) => isSecure && credentials === undefined);
  if (bare !== undefined) return `${showPlace(bare)} needs tls-cert and tls-key`;
  const missing = options.redirectsToHttps ? missingForRedirect(places) : undefined;
  return missing === undefined ? undefined : `redirect-to-https needs ${missing}`;
}

function missingForRedirect(places: readonly Place[]): string | undefined {
  if (!places.some(({ isSecure }) => isSecure)) return 'an https:// place to send clients to';
  const hasPlain = places.some(({ isSecure, kind }) => !isSecure && kind !== 'path');
  return hasPlain ? undefined : 'a place for plain HTTP, too, as with --listen';
}

function placesOf(options: Options): Place[] {
  const { listen, host, port } = options;
  const isSecure = isSecureByDefault(options);
  const inherited = takeInherited(process.env, isSecure);
  if (listen.length > 0 || inherited.length > 0) return [...inherited, ...listen];
  return [{ kind: 'address', host, port, isSecure }];
}

// After a rotation; nginx's signal for it, too.
function reopenOnSignals(server: () => Server | undefined): void {
  for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) process.on(signal, () => server()?.reopenLogs());
}

// One after the other. Wrong settings are told, and the old ones stay. Who only starts has just read them.
function reloadOnHangup(
  server: () => Server | undefined, commandLine: Serve, defaultRoot: string,
): void {
  let last = Promise.resolve();
  process.on('SIGHUP', () => {
    const running = server();
    if (running !== undefined) last = last.then(() => reload(running, commandLine, defaultRoot));
  });
}

async function reload(server: Server, commandLine: Serve, defaultRoot: string): Promise<void> {
  const file = commandLine.configFile;
  const refuse = (problems: string[]): void => {
    for (const problem of problems) log(problem);
    log(`${file === undefined ? '' : `${file} is wrong: `}the settings stay as they were`);
  };
  try {
    const settings = await settingsOf(commandLine, defaultRoot, true);
    if (settings.kind === 'wrong') return refuse(settings.problems);
    const { options, credentials, problems } = settings;
    const ignored = await server.reload(options, credentials);
    for (const problem of problems) log(problem);
    for (const name of ignored) log(`${name} has changed: that takes a new start`);
    log(file === undefined ? 'what the command line names was read again' : `the settings are those of ${file} again`);
  } catch (error) {
    refuse([await explainAt(commandLine, error)]);
  }
}

// A second signal ends the waiting. One that comes at once is the first again: npm passes on what the
// terminal has sent to both.
const kSameSignalMs = 1000;

function stopOnSignals(server: Server, removePidFile: () => void): void {
  let stoppedAt: number | undefined;
  const stop = (): void => {
    if (stoppedAt !== undefined) {
      if (performance.now() - stoppedAt > kSameSignalMs) server.cut();
      return;
    }
    stoppedAt = performance.now();
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

function complainOfAll(messages: readonly string[], exitCode: number): void {
  for (const message of messages) complain(message, exitCode);
}

function complain(message: string, exitCode: number): void {
  process.stderr.write(`flash-lite: ${message}\n`);
  process.exitCode = exitCode;
}

// Whoever read our lines may go before us: that ends the lines, not the server.
function surviveLostReaders(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
}

if (require.main === module) void main(process.argv.slice(2));
