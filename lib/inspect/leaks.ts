/** Who may be leaking: what two looks at one window, some time apart, say together. */
import type { DomainReport, HoldReport, WindowReport } from './report';

/** Something that looks like a leak, and whose. */
export interface LeakReport {
  /**
   * `unheld`: live buffers that nobody holds, at both looks (their owner has not looked since
   * somebody died, or lost count); `growing`: held more and more; `old`: a foreign buffer held for
   * long; `orphaned`: held of an owner that is gone, so that its memory stays.
   */
  readonly kind: 'unheld' | 'growing' | 'old' | 'orphaned';
  /** Who should let go: the domain, and its process. */
  readonly domain: string;
  readonly pid: number;
  readonly state: DomainReport['state'];
  /** Of which pool. */
  readonly owner: string;
  readonly pool: number;
  readonly buffers: number;
  /** Null: not known. */
  readonly bytes: number | null;
  /** More than at the first look. */
  readonly buffersMore: number;
  readonly oldestSeconds: number | null;
}

/** What counts as a leak, and of whom. */
export interface LeakOptions {
  /** From what age on a hold on another domain's buffer is `old`. Default 60. */
  readonly oldSeconds?: number;
  /** Only domains of this process. */
  readonly pid?: number;
}

const isSame = (one: HoldReport, other: HoldReport): boolean =>
  one.holder === other.holder && one.owner === other.owner && one.pool === other.pool;

/** `before` may be the same report: then nothing is `growing`. */
export function findLeaks(
  before: WindowReport, after: WindowReport, options: LeakOptions = {},
): LeakReport[] {
  const { oldSeconds = 60, pid } = options;
  const found: LeakReport[] = [];
  const domainOf = (name: string): DomainReport | undefined =>
    after.domains.find((each) => each.name === name);
  const note = (kind: LeakReport['kind'], name: string, rest: Omit<LeakReport, 'kind' | 'domain' | 'pid' | 'state'>): void => {
    const domain = domainOf(name);
    if (pid !== undefined && domain?.pid !== pid) return;
    found.push({ kind, domain: name, pid: domain?.pid ?? 0, state: domain?.state ?? 'unknown', ...rest });
  };
  for (const pool of after.pools) {
    const earlier = before.pools.find((each) => each.owner === pool.owner && each.number === pool.number);
    const buffers = Math.min(pool.buffersUnheld, earlier?.buffersUnheld ?? 0);
    if (buffers === 0) continue;
    note('unheld', pool.owner, {
      owner: pool.owner, pool: pool.number, buffers, bytes: null,
      buffersMore: pool.buffersUnheld - (earlier?.buffersUnheld ?? 0), oldestSeconds: null,
    });
  }
  for (const hold of after.holds) {
    const earlier = before.holds.find((each) => isSame(each, hold));
    const { holder, owner, pool, buffers, bytes, oldestSeconds } = hold;
    const rest = { owner, pool, buffers, bytes, buffersMore: buffers - (earlier?.buffers ?? 0), oldestSeconds };
    const ownerState = domainOf(owner)?.state;
    if (ownerState === 'dead' && holder !== owner) note('orphaned', holder, rest);
    else if (rest.buffersMore > 0 && earlier !== undefined) note('growing', holder, rest);
    else if (oldestSeconds !== null && oldestSeconds >= oldSeconds) note('old', holder, rest);
  }
  return found;
}
