#!/usr/bin/env node
/** The command `iol`: docs/cli.md. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { findLeaks, inspectWindows, type LeakReport, type WindowReport } from '../inspect';
import { commands, helpOf } from './help';
import { bytes, span, styleOf, table, type Style } from './text';
import { runTop } from './top';
import {
  channelsTable, domainsTable, holdsTable, incidentsTable, poolName, poolsTable, summary, who, windowsTable,
} from './views';

const exitNoWindow = 1;
const exitUsage = 2;
const exitLeaks = 3;

/** What was wrong with the command line. */
class UsageError extends Error {}

const optionsKnown = {
  help: { type: 'boolean', short: 'h', default: false },
  version: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  bytes: { type: 'boolean', default: false },
  window: { type: 'string' },
  pid: { type: 'string' },
  seconds: { type: 'string' },
  older: { type: 'string' },
  interval: { type: 'string' },
} as const;

// Options that only some commands have.
const onlyOf: Record<string, readonly string[]> = {
  pid: ['leaks'], seconds: ['leaks'], older: ['leaks'], interval: ['top'],
};

type Values = ReturnType<typeof parse>['values'];

function parse(args: string[]): { command: string; values: ReturnType<typeof parseKnown>['values'] } {
  const { values, positionals } = parseKnown(args);
  const [command = 'ls', ...rest] = positionals;
  if (!commands.includes(command)) throw new UsageError(`there is no command "${command}"`);
  if (rest.length > 0) throw new UsageError(`"${rest[0]}" is one word too many`);
  for (const [option, allowed] of Object.entries(onlyOf)) {
    if (values[option as keyof typeof values] === undefined || allowed.includes(command)) continue;
    throw new UsageError(`--${option} is an option of iol ${allowed.join(', ')}`);
  }
  if (command === 'top' && values.json) throw new UsageError('iol top has no --json; iol show has');
  return { command, values };
}

function parseKnown(args: string[]) {
  try {
    return parseArgs({ args, options: optionsKnown, allowPositionals: true });
  } catch (error) {
    throw new UsageError((error as Error).message.split('. To specify')[0]);
  }
}

function numberOf(values: Values, option: 'pid' | 'seconds' | 'older' | 'interval', otherwise: number): number {
  const text = values[option];
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0) {
    throw new UsageError(`--${option} must be a number, not "${text}"`);
  }
  return value;
}

/** The windows that were asked for, and how to say that there are none. */
function selection(values: Values): { look: () => WindowReport[]; nothing: string } {
  const fromEnvironment = process.env['IOL_WINDOW'];
  const wanted = values.window ?? (fromEnvironment === '' ? undefined : fromEnvironment);
  if (wanted === undefined) {
    return {
      look: () => inspectWindows(),
      nothing:
        'no window found\n' +
        'There is one for as long as a process runs that uses io-lite. Seen are those of your own user\n' +
        'whose processes are not undumpable; root sees all.',
    };
  }
  const isAddress = /^[@/]/.test(wanted);
  if (!isAddress && !/^[0-9a-f]{1,16}$/i.test(wanted)) {
    throw new UsageError(`--window must be @name, a path, or a window's number, not "${wanted.split('#')[0]}"`);
  }
  // The token is nobody's business.
  const shown = wanted.split('#')[0];
  return {
    look: () => inspectWindows(isAddress ? { address: wanted } : { id: wanted }),
    nothing:
      values.window === undefined
        ? `IOL_WINDOW names ${shown}, but no such window is seen. Is its host gone? --window chooses another one`
        : `no window ${shown} is seen. iol ls shows those that are`,
  };
}

const views: Record<string, (report: WindowReport, style: Style) => string> = {
  domains: domainsTable,
  pools: poolsTable,
  holds: holdsTable,
  channels: channelsTable,
  incidents: incidentsTable,
};

const parts: Record<string, (report: WindowReport) => unknown> = {
  domains: (report) => report.domains,
  pools: (report) => report.pools,
  holds: (report) => report.holds,
  channels: (report) => report.channels,
  incidents: (report) => report.incidents,
  show: (report) => report,
};

function showAll(report: WindowReport, style: Style): string {
  const sections = [
    domainsTable(report, style), poolsTable(report, style), holdsTable(report, style),
  ];
  if (report.channels.length > 0) sections.push(channelsTable(report, style));
  if (report.incidents.length > 0) sections.push(incidentsTable(report, style));
  return [summary(report, style), ...sections].join('\n\n');
}

function leaksTable(report: WindowReport, leaks: readonly LeakReport[], style: Style): string {
  return table(
    [
      { title: 'WHAT' }, { title: 'WHO' }, { title: 'PID', isNumber: true }, { title: 'STATE' },
      { title: 'OWNER' }, { title: 'POOL' }, { title: 'BUFFERS', isNumber: true },
      { title: 'MORE', isNumber: true }, { title: 'BYTES', isNumber: true }, { title: 'OLDEST', isNumber: true },
    ],
    leaks.map((leak) => ({
      cells: [
        leak.kind,
        who(report, leak.domain),
        leak.pid === 0 ? '-' : String(leak.pid),
        leak.state,
        who(report, leak.owner),
        poolName(report, leak.owner, leak.pool),
        String(leak.buffers),
        leak.buffersMore > 0 ? `+${leak.buffersMore}` : String(leak.buffersMore),
        leak.bytes === null ? '-' : bytes(leak.bytes, style),
        leak.oldestSeconds === null ? '-' : span(leak.oldestSeconds),
      ],
    })),
    style,
  );
}

const pause = (seconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, seconds * 1000));

async function leaks(values: Values, look: () => WindowReport[], style: Style): Promise<number> {
  const seconds = numberOf(values, 'seconds', 1);
  const pid = values.pid === undefined ? undefined : numberOf(values, 'pid', 0);
  const options = { oldSeconds: numberOf(values, 'older', 60), ...(pid === undefined ? {} : { pid }) };
  const before = look();
  if (seconds > 0) await pause(seconds);
  const after = seconds > 0 ? look() : before;
  const found = after.map((report) => {
    const earlier = before.find((each) => each.id === report.id) ?? report;
    return { report, leaks: findLeaks(earlier, report, options) };
  });
  const count = found.reduce((sum, each) => sum + each.leaks.length, 0);
  if (values.json) {
    print(JSON.stringify(found.map((each) => ({ id: each.report.id, address: each.report.address, leaks: each.leaks })), null, 2));
  } else if (count === 0) {
    print('nothing looks like a leak');
  } else {
    const shown = found.filter((each) => each.leaks.length > 0);
    print(shown.map(({ report, leaks: list }) => titled(report, leaksTable(report, list, style), found.length)).join('\n\n'));
  }
  return count === 0 ? 0 : exitLeaks;
}

function titled(report: WindowReport, body: string, windows: number): string {
  return windows === 1 ? body : `${report.id}  ${report.address ?? 'without a host'}\n${body}`;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function printViews(command: string, reports: readonly WindowReport[], values: Values, style: Style): void {
  if (command === 'ls') {
    print(values.json ? JSON.stringify(reports.map(briefly), null, 2) : windowsTable(reports, style));
    return;
  }
  if (values.json) {
    const part = parts[command]!;
    print(JSON.stringify(reports.map((report) => (command === 'show' ? report : { id: report.id, address: report.address, [command]: part(report) })), null, 2));
    return;
  }
  const view = views[command];
  print(
    reports
      .map((report) => (view === undefined ? showAll(report, style) : titled(report, view(report, style), reports.length)))
      .join('\n\n'),
  );
}

// What iol ls --json says of each.
function briefly(report: WindowReport): object {
  const { id, format, address, allocatedBytes, host } = report;
  const count = (list: readonly unknown[]): number => list.length;
  return {
    id, format, address, allocatedBytes, host,
    domains: count(report.domains), pools: count(report.pools), holds: count(report.holds),
    channels: count(report.channels), incidents: count(report.incidents),
  };
}

/** Runs a command line; resolves to the exit code. */
async function run(args: string[]): Promise<number> {
  const { command, values } = parse(args);
  if (values.help) {
    print(helpOf(args.some((word) => word === command) ? command : undefined));
    return 0;
  }
  if (values.version) {
    const text = readFileSync(path.join(__dirname, '../../package.json'), 'utf8');
    print((JSON.parse(text) as { version: string }).version);
    return 0;
  }
  const { look, nothing } = selection(values);
  const style = styleOf(process.stdout, values.bytes);
  const intervalSeconds = numberOf(values, 'interval', 1);
  const reports = look();
  if (reports.length === 0) {
    if (values.json) print('[]');
    process.stderr.write(`iol: ${nothing}\n`);
    return exitNoWindow;
  }
  if (command === 'top') return runTop(look, style, Math.max(intervalSeconds, 0.1));
  if (command === 'leaks') return leaks(values, look, style);
  printViews(command, reports, values, style);
  return 0;
}

// `iol show | head -1`: who reads no more is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

run(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`iol: ${error.message}\niol --help says what there is\n`);
    process.exitCode = exitUsage;
  },
);
