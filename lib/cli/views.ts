/** The tables of the CLI: what of a report each command shows. */
import type { DomainReport, WindowReport } from '../inspect';
import { kFormat } from '../layout.generated';
import { bytes, paint, since, span, table, type Colour, type Row, type Style } from './text';

/** A domain as people find it: `web (3.1)`. */
export function who(report: WindowReport, name: string): string {
  const label = report.domains.find((each) => each.name === name)?.label ?? '';
  return label === '' ? name : `${label} (${name})`;
}

/** A pool likewise: `2 frames`. */
export function poolName(report: WindowReport, owner: string, pool: number): string {
  const name = report.pools.find((each) => each.owner === owner && each.number === pool)?.name ?? '';
  return name === '' ? String(pool) : `${pool} ${name}`;
}

function stateColour(domain: DomainReport): Colour | undefined {
  if (domain.state === 'dead' || domain.membership === 'ended') return 'dim';
  if (domain.state === 'stopped' || domain.membership === 'silent') return 'yellow';
  return undefined;
}

const row = (cells: string[], colour?: Colour): Row => (colour === undefined ? { cells } : { cells, colour });
const number = (title: string): { title: string; isNumber: true } => ({ title, isNumber: true });
const text = (title: string): { title: string } => ({ title });

export function windowsTable(reports: readonly WindowReport[], style: Style): string {
  return table(
    [
      text('WINDOW'), text('HOST'), number('PID'), number('DOMAINS'), number('POOLS'), number('MEMORY'),
      number('LIMIT'), number('CHANNELS'), number('INCIDENTS'), text('COMMAND'),
    ],
    reports.map((report) => {
      const { host } = report;
      const alive = report.domains.filter((each) => each.state !== 'dead');
      const first = host ?? alive[0];
      return row(
        [
          report.id,
          report.format === kFormat ? (report.address ?? '-') : `of format ${report.format}; this iol reads ${kFormat}`,
          first === undefined || first.pid === 0 ? '-' : String(first.pid),
          String(alive.length),
          String(report.pools.length),
          bytes(report.allocatedBytes, style),
          host === null ? '-' : bytes(host.maxBytes, style),
          String(report.channels.length),
          String(report.incidents.length),
          first?.command || '-',
        ],
        host?.state === 'stopped' ? 'yellow' : undefined,
      );
    }),
    style,
  );
}

export function domainsTable(report: WindowReport, style: Style): string {
  return table(
    [
      text('DOMAIN'), text('LABEL'), number('PID'), number('UID'), text('STATE'), text('MEMBER'),
      number('SINCE'), number('POOLS'), number('MEMORY'), text('COMMAND'),
    ],
    report.domains.map((domain) => {
      const pools = report.pools.filter((each) => each.owner === domain.name).length;
      const asleep = domain.isAsleep === true && domain.state === 'running' ? 'asleep' : domain.state;
      return row(
        [
          domain.name,
          domain.label || '-',
          domain.pid === 0 ? '-' : String(domain.pid),
          domain.uid === -1 ? '-' : String(domain.uid),
          asleep,
          domain.membership ?? '-',
          since(domain.stateSinceMs),
          String(pools),
          bytes(domain.allocatedBytes, style),
          domain.isVisible ? domain.command : `${domain.command} [hidden]`.trim(),
        ],
        stateColour(domain),
      );
    }),
    style,
  );
}

export function poolsTable(report: WindowReport, style: Style): string {
  return table(
    [
      text('OWNER'), text('POOL'), number('SEGMENTS'), number('COMMITTED'), number('IN USE'), number('LIMIT'),
      number('BUFFERS'), number('DRAFTS'), number('PENDING'), number('UNHELD'), text('MAY READ'),
    ],
    report.pools.map((pool) => {
      const unknown = (value: string): string => (pool.isDescribed ? value : '-');
      return row(
        [
          who(report, pool.owner),
          poolName(report, pool.owner, pool.number),
          String(pool.segments),
          pool.isDescribed ? bytes(pool.bytesCommitted, style) : bytes(pool.allocatedBytes, style),
          unknown(bytes(pool.bytesInUse, style)),
          unknown(bytes(pool.maxBytes, style)),
          unknown(String(pool.buffers)),
          unknown(String(pool.drafts)),
          unknown(String(pool.pending)),
          unknown(String(pool.buffersUnheld)),
          pool.isDescribed ? pool.access.join(', ') || 'everybody' : 'owner is gone',
        ],
        pool.isDescribed ? undefined : 'dim',
      );
    }),
    style,
  );
}

export function holdsTable(report: WindowReport, style: Style): string {
  return table(
    [
      text('OWNER'), text('POOL'), text('HELD BY'), number('BUFFERS'), number('BYTES'), number('HOLDS'),
      number('KERNEL'), number('OLDEST'),
    ],
    report.holds.map((hold) => {
      const isOwn = hold.holder === hold.owner;
      return row([
        who(report, hold.owner),
        poolName(report, hold.owner, hold.pool),
        isOwn ? 'itself' : who(report, hold.holder),
        String(hold.buffers),
        bytes(hold.bytes, style),
        String(hold.holds),
        String(hold.kernelVisible),
        hold.oldestSeconds === null ? '-' : span(hold.oldestSeconds),
      ]);
    }),
    style,
  );
}

export function channelsTable(report: WindowReport, style: Style): string {
  return table(
    [
      text('FROM'), text('TO'), text('CHANNEL'), text('STATE'), number('MESSAGES'), number('PAYLOAD'),
      number('RING'), number('OF'), number('FULL'), number('PASSED'),
    ],
    report.channels.map((channel) => {
      const isBlocked = channel.isBlocked && channel.state === 'open';
      return row(
        [
          who(report, channel.from),
          who(report, channel.to),
          `${channel.label || '-'} #${channel.id}`,
          isBlocked ? 'blocked' : channel.state,
          String(channel.queuedMessages),
          bytes(channel.queuedBytes, style),
          bytes(channel.queuedRingBytes, style),
          bytes(channel.ringBytes, style),
          `${Math.round((100 * channel.queuedRingBytes) / channel.ringBytes)}%`,
          bytes(channel.ringBytesTotal, style),
        ],
        isBlocked ? 'yellow' : channel.state === 'open' ? undefined : 'dim',
      );
    }),
    style,
  );
}

// What lies beyond the days that there are is nobody's clock.
function moment(ms: number): string {
  return ms > 8.64e15 ? '-' : new Date(ms).toISOString().replace('T', ' ').slice(0, 19);
}

export function incidentsTable(report: WindowReport, style: Style): string {
  return table(
    [text('WHEN'), text('WHAT'), text('WHO'), number('PID'), text('SEEN BY'), text('WHY')],
    report.incidents.map((incident) =>
      row(
        [
          moment(incident.atMs),
          incident.kind,
          incident.domain === null
            ? incident.label || '-'
            : incident.label === ''
              ? who(report, incident.domain)
              : `${incident.label} (${incident.domain})`,
          incident.pid === 0 ? '-' : String(incident.pid),
          incident.by === 'host' ? 'host' : who(report, incident.by),
          incident.code === null ? incident.message : `${incident.code} ${incident.message}`,
        ],
        incident.kind === 'died' ? undefined : 'red',
      ),
    ),
    style,
  );
}

/** A few lines that say what window this is. */
export function summary(report: WindowReport, style: Style): string {
  const { host } = report;
  const lines = [`${paint('window', 'bold', style)}   ${report.id}  ${report.address ?? 'without a host'}`];
  if (host === null) {
    if (report.address !== null) lines.push(`${paint('host', 'bold', style)}     is gone; what was granted goes on`);
  } else {
    const { counts } = host;
    lines.push(
      `${paint('host', 'bold', style)}     pid ${host.pid} (${host.state}), uid ${host.uid}, for ${since(host.startedAtMs)}: ${host.command}`,
      `${paint('limits', 'bold', style)}   ${bytes(host.maxBytes, style)} a process, ${
        host.domainMaxBytes === 0 ? 'no quota' : `${bytes(host.domainMaxBytes, style)} a domain`
      }, ${host.domainsMax} domains at a time`,
      `${paint('since', 'bold', style)}    ${counts.attached} attached, ${counts.detached} detached, ${counts.died} died, ${counts.cut} cut, ` +
        `${counts.turnedAway} turned away; ${counts.granted} segments granted, ${counts.denied} denied`,
    );
  }
  lines.push(`${paint('memory', 'bold', style)}   ${bytes(report.allocatedBytes, style)} in pages: data, tables, rings`);
  return lines.join('\n');
}
