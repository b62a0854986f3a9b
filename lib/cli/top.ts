/** The live view: what goes on in each window, redrawn until q. */
import type { WindowReport } from '../inspect';
import { bytes, paint, since, table, type Style } from './text';
import { channelsTable, holdsTable, incidentsTable, who } from './views';

const clear = '\x1b[H\x1b[2J';
const toOtherScreen = '\x1b[?1049h\x1b[?25l';
const backFromIt = '\x1b[?25h\x1b[?1049l';
const incidentsShown = 5;
const endingKeys = [...Buffer.from('qQ'), 3, 4]; // And control-C, control-D.

// Figures that only grow, per second since the frame before; '-' in the first one.
function rate(now: number, before: number | undefined, seconds: number): string {
  return before === undefined || seconds <= 0 ? '-' : String(Math.round(Math.max(now - before, 0) / seconds));
}

function activity(report: WindowReport, before: WindowReport | undefined, seconds: number, style: Style): string {
  const allocations = (of: WindowReport | undefined, name: string): number | undefined =>
    of?.pools.filter((each) => each.owner === name).reduce((sum, each) => sum + each.allocations, 0);
  const passed = (of: WindowReport | undefined, name: string): number | undefined =>
    of?.channels.filter((each) => each.from === name).reduce((sum, each) => sum + each.ringBytesTotal, 0);
  const numbers = ['PID', 'MEMORY', 'IN USE', 'BUFFERS', 'HELD', 'ALLOC/S', 'RING B/S', 'RINGS/S', 'SLEEPS/S'];
  return table(
    [{ title: 'DOMAIN' }, ...numbers.map((title) => ({ title, isNumber: true })), { title: 'STATE' }],
    report.domains.map((domain) => {
      const { name } = domain;
      const pools = report.pools.filter((each) => each.owner === name);
      const held = report.holds.filter((each) => each.holder === name && each.owner !== name);
      const earlier = before?.domains.find((each) => each.name === name);
      const cells = [
        who(report, name),
        domain.pid === 0 ? '-' : String(domain.pid),
        bytes(domain.allocatedBytes, style),
        bytes(pools.reduce((sum, each) => sum + each.bytesInUse, 0), style),
        String(pools.reduce((sum, each) => sum + each.buffers, 0)),
        String(held.reduce((sum, each) => sum + each.buffers, 0)),
        rate(allocations(report, name) ?? 0, allocations(before, name), seconds),
        rate(passed(report, name) ?? 0, passed(before, name), seconds),
        rate(domain.doorbell?.rings ?? 0, earlier?.doorbell?.rings, seconds),
        rate(domain.doorbell?.sleeps ?? 0, earlier?.doorbell?.sleeps, seconds),
        domain.membership === 'silent' || domain.membership === 'ended' ? domain.membership : domain.state,
      ];
      return domain.state === 'running' ? { cells } : { cells, colour: 'yellow' as const };
    }),
    style,
  );
}

/** One frame: all windows, with rates against the reports of `seconds` ago. */
export function frame(
  reports: readonly WindowReport[], before: readonly WindowReport[], seconds: number, style: Style,
): string {
  return reports
    .map((report) => {
      const earlier = before.find((each) => each.id === report.id);
      const { host } = report;
      const head = paint(`${report.id}  ${report.address ?? 'without a host'}`, 'bold', style);
      const last = report.incidents.slice(-incidentsShown);
      const sections = [
        `${head}  ${bytes(report.allocatedBytes, style)}${host === null ? '' : `, host ${host.pid} for ${since(host.startedAtMs)}`}`,
        activity(report, earlier, seconds, style),
      ];
      const foreign = report.holds.filter((each) => each.holder !== each.owner);
      if (foreign.length > 0) sections.push(holdsTable({ ...report, holds: foreign }, style));
      if (report.channels.length > 0) sections.push(channelsTable(report, style));
      if (last.length > 0) sections.push(incidentsTable({ ...report, incidents: last }, style));
      return sections.join('\n\n');
    })
    .join('\n\n');
}

/** Draws until q, or once where there is no terminal. Resolves to the exit code. */
export async function runTop(look: () => WindowReport[], style: Style, intervalSeconds: number): Promise<number> {
  if (!process.stdout.isTTY) {
    process.stdout.write(`${frame(look(), [], 0, style)}\n`);
    return 0;
  }
  let before: WindowReport[] = [];
  let at = 0;
  const draw = (): void => {
    const now = performance.now();
    const reports = look();
    const columns = process.stdout.columns || 80;
    const text = frame(reports, before, at === 0 ? 0 : (now - at) / 1000, { ...style, columns });
    const lines = (reports.length === 0 ? 'no window any more' : text).split('\n');
    // Two lines less than there are: the last one is for what to press.
    const shown = lines.slice(0, Math.max((process.stdout.rows || 24) - 2, 1));
    process.stdout.write(`${clear}${shown.join('\n')}\n${paint('q ends', 'dim', style)}`);
    before = reports;
    at = now;
  };
  const { stdin } = process;
  process.stdout.write(toOtherScreen);
  try {
    await new Promise<void>((resolve) => {
      const timer = setInterval(draw, intervalSeconds * 1000);
      const end = (): void => {
        clearInterval(timer);
        resolve();
      };
      if (stdin.isTTY) {
        stdin.setRawMode(true);
        stdin.resume();
        stdin.on('data', (keys: Buffer) => {
          if (keys.some((key) => endingKeys.includes(key))) end();
        });
      }
      process.once('SIGINT', end).once('SIGTERM', end);
      process.stdout.on('resize', draw);
      draw();
    });
  } finally {
    if (stdin.isTTY) stdin.setRawMode(false);
    stdin.pause();
    process.stdout.removeListener('resize', draw);
    process.stdout.write(backFromIt);
  }
  return 0;
}
