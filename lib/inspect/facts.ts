/** What domains and hosts say of themselves (docs/format.md, "Facts, for those who look on"). */
import { errorCodes, errorTable } from '../error-codes.generated';
import {
  DomainState, IncidentKind, Kind, kAccessEntriesMax, kFactsIncidentsOffset, kFactsPoolsOffset,
  kHostFactsDomainsOffset, kHostDomainsMax, kHostFactsIncidentsOffset, kIncidentsMax, kPoolFactsMax, layouts,
} from '../layout.generated';
import { Fields } from './fields';
import { withMemory, type Memory, type ReadAt } from './memory';
import { commandOf, stateOf } from './processes';
import type { HostReport, IncidentReport, PoolReport } from './report';

type DescribedPool = Omit<
  PoolReport, 'owner' | 'segments' | 'allocatedBytes' | 'buffersHeld' | 'buffersUnheld' | 'isDescribed'
>;

export interface SeenDomain {
  readonly name: string;
  readonly label: string;
  readonly address: string;
  readonly pid: number;
  readonly threadId: number;
  readonly startedAtMs: number;
  readonly maxBytes: number;
  readonly pools: DescribedPool[];
  readonly incidents: IncidentReport[];
}

export interface SeenMember {
  readonly name: string;
  readonly label: string;
  readonly membership: 'attached' | 'silent' | 'ended';
  readonly pid: number;
  readonly uid: number;
  readonly attachedAtMs: number;
  readonly stateSinceMs: number;
}

export interface SeenHost {
  readonly address: string;
  readonly report: HostReport;
  readonly domains: SeenMember[];
  readonly incidents: IncidentReport[];
}

const kinds: Record<number, IncidentReport['kind']> = {
  [IncidentKind.Cut]: 'cut',
  [IncidentKind.TurnedAway]: 'turned-away',
  [IncidentKind.Denied]: 'denied',
  [IncidentKind.Died]: 'died',
  [IncidentKind.Corrupt]: 'corrupt',
};

const memberships: Record<number, SeenMember['membership']> = {
  [DomainState.Attached]: 'attached',
  [DomainState.Silent]: 'silent',
  [DomainState.Ended]: 'ended',
};

const accessKinds: Record<number, string> = { [Kind.Uid]: 'uid', [Kind.Gid]: 'gid', [Kind.Pid]: 'pid' };

function messageOf(entry: Fields<'Incident'>, kind: IncidentReport['kind']): string {
  const code = errorCodes[entry.get('code') - 1];
  const subject = entry.text('subject');
  if (code === undefined) return kind === 'died' ? 'its process ended without leaving' : '';
  const value = entry.get('value');
  const limit = entry.get('limit');
  const what = `${subject === '' ? '' : `${subject}: `}${errorTable[code].message}`;
  if (code === 'ERR_IOL_SYSTEM') return `${what} (errno ${value})`;
  if (value === 0 && limit === 0) return what;
  return `${what} (${value}${limit === 0 ? '' : `, limit ${limit}`})`;
}

function readIncidents(readAt: ReadAt, offset: number, by: string): IncidentReport[] {
  const { bytes } = layouts.Incident;
  const page = readAt(offset, kIncidentsMax * bytes);
  const found: IncidentReport[] = [];
  for (let index = 0; index < kIncidentsMax; index++) {
    const entry = new Fields('Incident', page, index * bytes);
    const kind = kinds[entry.get('kind')];
    // 0: never used, or being written just now.
    if (entry.get('number') === 0 || kind === undefined) continue;
    found.push({
      atMs: entry.get('atMs'),
      kind,
      by,
      domain: entry.get('epoch') === 0 ? null : `${entry.get('slot')}.${entry.get('epoch')}`,
      label: entry.text('label'),
      pid: entry.get('pid'),
      uid: entry.get('uid'),
      code: errorCodes[entry.get('code') - 1] ?? null,
      message: messageOf(entry, kind),
    });
  }
  return found;
}

function readAccess(pool: Fields<'PoolFacts'>, page: Buffer, base: number): string[] {
  const list = pool.inner('access', 'AccessList');
  const first = base + layouts.PoolFacts.access[0] + layouts.AccessList.entries[0];
  const count = Math.min(list.get('count'), kAccessEntriesMax);
  return Array.from({ length: count }, (_, index) => {
    const entry = new Fields('AccessEntry', page, first + index * layouts.AccessEntry.bytes);
    const kind = accessKinds[entry.get('kind')];
    return kind === undefined ? `label ${entry.text('label')}` : `${kind} ${entry.get('id')}`;
  });
}

function readPools(readAt: ReadAt): DescribedPool[] {
  const { bytes } = layouts.PoolFacts;
  const pools: DescribedPool[] = [];
  const page = readAt(kFactsPoolsOffset, kPoolFactsMax * bytes);
  for (let base = 0; base < page.length; base += bytes) {
    const pool = new Fields('PoolFacts', page, base);
    if (pool.get('number') === 0) continue;
    const figures = pool.inner('figures', 'PoolFigures');
    pools.push({
      number: pool.get('number'),
      name: pool.text('name'),
      access: readAccess(pool, page, base),
      isSealed: pool.get('isSealed') !== 0,
      maxBytes: pool.get('maxBytes'),
      bytesCommitted: figures.get('bytesCommitted'),
      bytesInUse: figures.get('bytesInUse'),
      buffers: figures.get('buffers'),
      drafts: figures.get('drafts'),
      pending: figures.get('pending'),
      allocations: figures.get('allocations'),
    });
  }
  return pools;
}

export function readDomainFacts(memory: Memory, head: Buffer): SeenDomain | undefined {
  const facts = new Fields('DomainFacts', head);
  const name = `${facts.get('domainSlot')}.${facts.get('domainEpoch')}`;
  // Its process by our numbers; a child that it forked may have the descriptor, too.
  const pids = memory.places.map(({ pid }) => pid);
  const pid = pids.includes(facts.get('pid')) ? facts.get('pid') : pids[0]!;
  return withMemory(memory, (readAt) => ({
    name,
    label: facts.text('label'),
    address: facts.text('address'),
    pid,
    threadId: facts.get('threadId'),
    startedAtMs: facts.get('startedMs'),
    maxBytes: facts.get('domainMaxBytes') || facts.get('windowMaxBytes'),
    pools: readPools(readAt),
    incidents: readIncidents(readAt, kFactsIncidentsOffset, name),
  }));
}

// The host writes its table anew after each turn; a reader that met that looks again.
const triesMax = 100;

function readTable(readAt: ReadAt): { facts: Fields<'HostFacts'>; table: Buffer } {
  const { bytes } = layouts.HostDomainFacts;
  for (let tries = 1; ; tries++) {
    const facts = new Fields('HostFacts', readAt(0, layouts.HostFacts.bytes));
    const table = readAt(kHostFactsDomainsOffset, Math.min(facts.get('domains'), kHostDomainsMax) * bytes);
    const after = new Fields('HostFacts', readAt(0, layouts.HostFacts.bytes));
    const isWhole = facts.get('sequence') % 2 === 0 && facts.get('sequence') === after.get('sequence');
    // A host that was stopped or killed while it wrote stays so.
    if (isWhole || tries === triesMax) return { facts, table };
  }
}

export function readHostFacts(memory: Memory): SeenHost | undefined {
  return withMemory(memory, (readAt) => {
    const { facts, table } = readTable(readAt);
    const pids = memory.places.map((place) => place.pid);
    const pid = pids.includes(facts.get('pid')) ? facts.get('pid') : pids[0]!;
    const counts = facts.inner('counts', 'HostCounts');
    const domains: SeenMember[] = [];
    for (let base = 0; base < table.length; base += layouts.HostDomainFacts.bytes) {
      const entry = new Fields('HostDomainFacts', table, base);
      const membership = memberships[entry.get('state')];
      if (membership === undefined) continue;
      domains.push({
        name: `${entry.get('slot')}.${entry.get('epoch')}`,
        label: entry.text('label'),
        membership,
        pid: entry.get('pid'),
        uid: entry.get('uid'),
        attachedAtMs: entry.get('attachedMs'),
        stateSinceMs: entry.get('stateMs'),
      });
    }
    return {
      address: facts.text('address'),
      domains,
      incidents: readIncidents(readAt, kHostFactsIncidentsOffset, 'host'),
      report: {
        pid,
        uid: facts.get('uid'),
        state: stateOf(pid),
        command: commandOf(pid),
        startedAtMs: facts.get('startedMs'),
        maxBytes: facts.get('windowMaxBytes'),
        domainMaxBytes: facts.get('domainMaxBytes'),
        domainsMax: facts.get('domainsMax'),
        handshakes: facts.get('handshakes'),
        segments: facts.get('segments'),
        counts: {
          attached: counts.get('attached'),
          detached: counts.get('detached'),
          died: counts.get('died'),
          cut: counts.get('cut'),
          turnedAway: counts.get('turnedAway'),
          granted: counts.get('granted'),
          denied: counts.get('denied'),
          relayed: counts.get('relayed'),
        },
      },
    };
  });
}
