/** What is seen of a window from outside: plain objects, safe to print as JSON. */
import type { ErrorCode } from '../error-codes.generated';
import type { ProcessState } from './processes';

/** One window of this machine. */
export interface WindowReport {
  /** The window's random number, 16 hexadecimal digits. */
  readonly id: string;
  /** Of its shared memory; of another format than this library's nothing more is read. */
  readonly format: number;
  /** Where its host listens, without the token; null: a window without a host, or not seen. */
  readonly address: string | null;
  /** Pages that its memory takes: data, tables, rings. */
  readonly allocatedBytes: number;
  /** Null: there is none, it is dead, or it may not be looked at. */
  readonly host: HostReport | null;
  readonly domains: DomainReport[];
  readonly pools: PoolReport[];
  readonly holds: HoldReport[];
  readonly channels: ChannelReport[];
  /** The last 64 of the host and of each domain, oldest first. */
  readonly incidents: IncidentReport[];
}

/** The process that lets domains in. */
export interface HostReport {
  readonly pid: number;
  readonly uid: number;
  readonly state: ProcessState;
  readonly command: string;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  /** What its process may commit. */
  readonly maxBytes: number;
  /** Quota of each domain; 0: none. */
  readonly domainMaxBytes: number;
  readonly domainsMax: number;
  /** Connections that have not yet said who they are. */
  readonly handshakes: number;
  /** Segments that were made known to it. */
  readonly segments: number;
  /** Since it began. */
  readonly counts: {
    readonly attached: number;
    readonly detached: number;
    readonly died: number;
    readonly cut: number;
    readonly turnedAway: number;
    readonly granted: number;
    readonly denied: number;
    readonly relayed: number;
  };
}

/** One participant: a process, or a thread of one. */
export interface DomainReport {
  /** `slot.epoch`: what the other lists call it. */
  readonly name: string;
  readonly slot: number;
  readonly epoch: number;
  /** What it calls itself; '' is nothing. */
  readonly label: string;
  /** 0: not known. */
  readonly pid: number;
  readonly threadId: number;
  /** -1: not known. */
  readonly uid: number;
  readonly command: string;
  readonly state: ProcessState;
  /** As the host has it; null: there is no host to ask. `silent`: it was cut, or is dying. */
  readonly membership: 'attached' | 'silent' | 'ended' | null;
  /** Sleeping until a channel's peer rings; null: it has no channels, or is not seen. */
  readonly isAsleep: boolean | null;
  /** False: its own memory may not be looked at (another user's process, or undumpable). */
  readonly isVisible: boolean;
  /** Milliseconds since 1970; 0: not known. */
  readonly startedAtMs: number;
  /** When its membership was last another; 0: not known. */
  readonly stateSinceMs: number;
  readonly maxBytes: number;
  /** Pages of its pools' segments, tables included. */
  readonly allocatedBytes: number;
  /** Since it began; null: it has no channels. */
  readonly doorbell: {
    readonly rings: number;
    readonly sleeps: number;
    readonly wakes: number;
    readonly spinsInVain: number;
  } | null;
}

/** One pool of one domain. */
export interface PoolReport {
  /** The domain that writes it. */
  readonly owner: string;
  readonly number: number;
  readonly name: string;
  /** `uid 1000`, `gid 4`, `pid 17`, `label viewer`; empty: every domain of the window may read. */
  readonly access: string[];
  readonly isSealed: boolean;
  readonly maxBytes: number;
  readonly bytesCommitted: number;
  /** Capacity of live buffers. */
  readonly bytesInUse: number;
  /** Live: drafts, held, pending. */
  readonly buffers: number;
  readonly drafts: number;
  /** Released by the owner and held elsewhere, as far as it has looked. */
  readonly pending: number;
  /** Since the pool was made. */
  readonly allocations: number;
  readonly segments: number;
  /** Pages that the segments take, tables included. */
  readonly allocatedBytes: number;
  /** Buffers that some domain holds, each once. */
  readonly buffersHeld: number;
  /** Live buffers that nobody who can be seen holds: freed when the owner next looks, or leaked. */
  readonly buffersUnheld: number;
  /** False: gone with its domain, or without a place in the owner's facts; figures are 0. */
  readonly isDescribed: boolean;
}

/** What one domain holds of one pool. */
export interface HoldReport {
  readonly holder: string;
  readonly owner: string;
  readonly pool: number;
  readonly buffers: number;
  /** Capacity of those buffers. */
  readonly bytes: number;
  /** Sum of the counts. */
  readonly holds: number;
  /** Buffers that the kernel may still be sending from. */
  readonly kernelVisible: number;
  /**
   * Seconds since some chunk of the pool was last without a hold of this domain's: the oldest hold
   * is at most so old. Null for a domain's own buffers, whose time nobody takes down.
   */
  readonly oldestSeconds: number | null;
}

/** One direction of a channel. */
export interface ChannelReport {
  readonly from: string;
  readonly to: string;
  readonly label: string;
  /** The opener's number for it; both directions have the same. */
  readonly id: number;
  readonly openedBy: string;
  /** `half-open`: only one end can be seen. */
  readonly state: 'open' | 'half-open' | 'closed by sender' | 'closed by receiver';
  readonly ringBytes: number;
  /** Of the ring, in use. */
  readonly queuedRingBytes: number;
  readonly queuedMessages: number;
  /** Payload that they name. */
  readonly queuedBytes: number;
  /** The sender waits for room. */
  readonly isBlocked: boolean;
  /** Bytes that went through the ring since the channel was made. */
  readonly ringBytesTotal: number;
}

/** Something that went wrong, and who did it. */
export interface IncidentReport {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  /**
   * `cut`: the host ended its connection; `turned-away`: it was not let in; `denied`: an access
   * list; `died`: its process ended without leaving; `corrupt`: it sent rubbish over a channel.
   */
  readonly kind: 'cut' | 'turned-away' | 'denied' | 'died' | 'corrupt';
  /** Who says so: `host`, or a domain. */
  readonly by: string;
  /** Whom it is about; null: nobody who was in. */
  readonly domain: string | null;
  readonly label: string;
  /** 0: not known. */
  readonly pid: number;
  readonly uid: number;
  readonly code: ErrorCode | null;
  /** What was wrong, in words. */
  readonly message: string;
}
