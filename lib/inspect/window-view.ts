/** Everything that was found of one window, and the report that it makes. */
import {
  kBlockMagic, kByteOrder, kChunkBytes, kChunksMax, kFactsMagic, kFormat, kHoldTableMagic,
  kHostFactsMagic, kMediumUnitBytes, kOrdinalsMax, kReceiverMagic, kRingBytesMax, kRingBytesMin, kSegmentMagic,
  kSenderMagic, kSmallUnitBytes,
} from '../layout.generated';
import { channelOf, receiverEnd, senderEnd, type ReceiverEnd, type SenderEnd } from './channels';
import { readDomainFacts, readHostFacts, type SeenDomain, type SeenHost } from './facts';
import { Fields } from './fields';
import { countHeld, sumHolds, type SeenSegment, type SeenTable } from './holds';
import type { Memory } from './memory';
import { commandOf, stateOf, userOf } from './processes';
import type {
  ChannelReport, DomainReport, HoldReport, IncidentReport, PoolReport, WindowReport,
} from './report';

const nameOf = (slot: number, epoch: number): string => `${slot}.${epoch}`;

// By slot, then epoch.
function inOrder(one: string, other: string): number {
  const [slot = 0, epoch = 0] = one.split('.').map(Number);
  const [otherSlot = 0, otherEpoch = 0] = other.split('.').map(Number);
  return slot - otherSlot || epoch - otherEpoch;
}

function sum<T>(list: readonly T[], value: (item: T) => number): number {
  return list.reduce((total, item) => total + value(item), 0);
}

export class WindowView {
  private format = kFormat;
  private allocatedBytes = 0;
  private host: SeenHost | undefined;
  private readonly domains = new Map<string, SeenDomain>();
  private readonly sleeps = new Map<string, Fields<'DomainBlock'>>();
  private readonly segments: SeenSegment[] = [];
  private readonly tables: SeenTable[] = [];
  private readonly senders: SenderEnd[] = [];
  private readonly receivers = new Map<string, ReceiverEnd>();

  constructor(readonly id: string) {}

  /** Every kind of memory begins alike: magic, format, byte order, window. */
  static idIn(head: Buffer): string | undefined {
    const header = new Fields('HostBlock', head);
    if (header.get('byteOrder') !== kByteOrder) return undefined;
    return header.big('windowId').toString(16).padStart(16, '0');
  }

  get address(): string | null {
    const known = this.host?.address ?? [...this.domains.values()].find((each) => each.address !== '')?.address;
    return known ?? null;
  }

  add(memory: Memory, head: Buffer): void {
    this.allocatedBytes += memory.allocatedBytes;
    const header = new Fields('HostBlock', head);
    if (header.get('format') !== kFormat) {
      this.format = header.get('format');
      return;
    }
    switch (header.big('magic')) {
      case kFactsMagic: {
        const domain = readDomainFacts(memory, head);
        if (domain !== undefined) this.domains.set(domain.name, domain);
        return;
      }
      case kHostFactsMagic:
        this.host = readHostFacts(memory);
        return;
      case kSegmentMagic:
        this.addSegment(memory, new Fields('SegmentHeader', head));
        return;
      case kHoldTableMagic: {
        const table = new Fields('HoldTableHeader', head);
        const holder = nameOf(table.get('domainSlot'), table.get('domainEpoch'));
        this.tables.push({ memory, holder, owner: nameOf(table.get('ownerSlot'), table.get('ownerEpoch')) });
        return;
      }
      case kBlockMagic: {
        const block = new Fields('DomainBlock', head);
        const of = block.inner('header', 'BlockHeader');
        this.sleeps.set(nameOf(of.get('domainSlot'), of.get('domainEpoch')), block);
        return;
      }
      case kSenderMagic: {
        const end = senderEnd(memory, head);
        if (end.ringBytes >= kRingBytesMin && end.ringBytes <= kRingBytesMax) this.senders.push(end);
        return;
      }
      case kReceiverMagic: {
        const end = receiverEnd(memory, head);
        this.receivers.set(`${end.channelId} ${end.peer} ${end.writer}`, end);
        return;
      }
      default: // The host block and the cache's index: only their pages count.
    }
  }

  // A header that makes no sense is somebody's mistake or an attack: its pages count, that is all.
  private addSegment(memory: Memory, header: Fields<'SegmentHeader'>): void {
    const unitBytes = header.get('unitBytes');
    const isOne = unitBytes === 0 && header.get('slots') === 1 && header.get('chunks') === 1;
    const isMany =
      [kSmallUnitBytes, kMediumUnitBytes].includes(unitBytes) && header.get('chunks') <= kChunksMax &&
      header.get('slots') === (header.get('chunks') * kChunkBytes) / unitBytes;
    if ((!isOne && !isMany) || header.get('ordinal') >= kOrdinalsMax) return;
    this.segments.push({
      memory,
      owner: nameOf(header.get('ownerSlot'), header.get('ownerEpoch')),
      pool: header.get('pool'),
      ordinal: header.get('ordinal'),
      unitBytes,
      slots: header.get('slots'),
      chunks: header.get('chunks'),
    });
  }

  report(): WindowReport {
    const holds = this.holdReports(); // First: it counts what the pools say of held buffers.
    return {
      id: this.id,
      format: this.format,
      address: this.address,
      allocatedBytes: this.allocatedBytes,
      host: this.host === undefined ? null : this.host.report,
      domains: this.domainReports(),
      pools: this.poolReports(),
      holds,
      channels: this.channelReports(),
      incidents: this.incidentReports(),
    };
  }

  private domainReports(): DomainReport[] {
    const members = new Map(this.host?.domains.map((each) => [each.name, each]));
    // Whoever is named anywhere: of a dead or hidden one its segments or the host's word are left.
    const names = new Set([
      ...this.domains.keys(), ...members.keys(),
      ...this.segments.map((each) => each.owner),
      ...this.tables.flatMap((each) => [each.holder, each.owner]),
    ]);
    return [...names].sort(inOrder).map((name) => {
      const own = this.domains.get(name);
      const member = members.get(name);
      const block = this.sleeps.get(name);
      const figures = block?.inner('figures', 'DoorbellFigures');
      const [slot = 0, epoch = 0] = name.split('.').map(Number);
      const pid = own?.pid ?? member?.pid ?? 0;
      const hasEnded = member?.membership === 'ended' || (own === undefined && member === undefined);
      return {
        name,
        slot,
        epoch,
        label: own?.label || (member?.label ?? ''),
        pid,
        threadId: own?.threadId ?? 0,
        uid: own === undefined ? (member?.uid ?? -1) : userOf(pid),
        command: pid === 0 || hasEnded ? '' : commandOf(pid),
        state: own !== undefined ? stateOf(pid) : hasEnded ? 'dead' : stateOf(pid),
        membership: member?.membership ?? null,
        isAsleep: block === undefined ? null : block.get('sleep') % 2 === 1,
        isVisible: own !== undefined,
        startedAtMs: own?.startedAtMs ?? member?.attachedAtMs ?? 0,
        stateSinceMs: member?.stateSinceMs ?? own?.startedAtMs ?? 0,
        maxBytes: own?.maxBytes ?? 0,
        allocatedBytes: sum(this.segments.filter((each) => each.owner === name), (each) => each.memory.allocatedBytes),
        doorbell:
          figures === undefined
            ? null
            : {
                rings: figures.get('rings'),
                sleeps: figures.get('sleeps'),
                wakes: figures.get('wakes'),
                spinsInVain: figures.get('spinsInVain'),
              },
      } satisfies DomainReport;
    });
  }

  private poolReports(): PoolReport[] {
    const described = [...this.domains.values()].flatMap((domain) =>
      domain.pools.map((pool) => ({ ...pool, owner: domain.name, isDescribed: true })),
    );
    const key = (owner: string, number: number): string => `${owner} ${number}`;
    const known = new Set(described.map((each) => key(each.owner, each.number)));
    const leftOver = this.segments.filter((each) => !known.has(key(each.owner, each.pool)));
    const undescribed = [...new Map(leftOver.map((each) => [key(each.owner, each.pool), each])).values()].map(
      ({ owner, pool }) => ({
        owner, number: pool, name: '', access: [], isSealed: false, maxBytes: 0, bytesCommitted: 0,
        bytesInUse: 0, buffers: 0, drafts: 0, pending: 0, allocations: 0, isDescribed: false,
      }),
    );
    return [...described, ...undescribed]
      .sort((one, other) => inOrder(one.owner, other.owner) || one.number - other.number)
      .map((pool) => {
        const segments = this.segments.filter((each) => each.owner === pool.owner && each.pool === pool.number);
        const buffersHeld = sum(segments, countHeld);
        return {
          ...pool,
          segments: segments.length,
          allocatedBytes: sum(segments, (each) => each.memory.allocatedBytes),
          buffersHeld,
          buffersUnheld: Math.max(pool.buffers - buffersHeld, 0),
        };
      });
  }

  private holdReports(): HoldReport[] {
    return this.tables
      .flatMap((table) => {
        const segments = this.segments.filter((each) => each.owner === table.owner);
        return [...sumHolds(table, segments)].map(([pool, held]) => ({
          holder: table.holder, owner: table.owner, pool, ...held,
        }));
      })
      .sort(
        (one, other) =>
          inOrder(one.owner, other.owner) || one.pool - other.pool || inOrder(one.holder, other.holder),
      );
  }

  private channelReports(): ChannelReport[] {
    return this.senders
      .map((end) => channelOf(end, this.receivers.get(`${end.channelId} ${end.writer} ${end.peer}`)))
      .sort((one, other) => inOrder(one.from, other.from) || inOrder(one.to, other.to) || one.id - other.id);
  }

  private incidentReports(): IncidentReport[] {
    return [...(this.host?.incidents ?? []), ...[...this.domains.values()].flatMap((each) => each.incidents)].sort(
      (one, other) => one.atMs - other.atMs,
    );
  }
}
