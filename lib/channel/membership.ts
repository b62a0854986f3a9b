/**
 * This thread's part in a window with a host: what the addon tells of it, and channels being opened.
 */
import { closedError, type IolError } from '../errors';
import { onWindowClosed } from '../leaks';
import { native } from '../native';
import { adoptChannel, onChannelsReady, type Channel, type ChannelPeer, type DomainName } from './channel';

declare module '../native' {
  interface NativeAddon {
    windowHost: (label: string, socket: string, domainsMax: number, domainMaxBytes: number) => void;
    windowAttach: (
      address: string,
      label: string,
      maxBytes: number,
      timeoutMs: number,
    ) => Promise<void>;
    /** The address or ''; scratch: 0 no host, 1 hosted here, 2 attached, 3 host gone; slot, epoch. */
    windowFacts: () => string;
    windowUndumpable: () => void;
    windowReporters: (onReady: (count: number) => void, onEvent: EventReporter) => void;
    /** The request's number, which an event will have. */
    windowConnect: (
      label: string,
      slot: number,
      epoch: number,
      name: string,
      ringBytes: number,
    ) => number;
    windowListen: (accepts: boolean, keepsAlive: boolean, spinUs: number) => void;
  }
}

type Numbers = [number, number, number, number, number, number, number];

/** `scratch` has its numbers. */
type EventReporter = (
  what: Happened,
  text: string,
  label: string,
  error: IolError | undefined,
) => void;

/** As in participant.h and host_thread.h. */
enum Happened {
  Opened = 1,
  Refused = 2,
  HostGone = 3,
  Denied = 4,
  DomainAttached = 16,
  DomainGone = 17,
  TurnedAway = 18,
}

/** A domain that attached, as the host's kernel knows it; the label is its own word. */
export interface DomainInfo extends DomainName {
  readonly label: string;
  readonly pid: number;
  readonly uid: number;
}

/** Whom the events of {@link membership} go to: the window that is open. */
export interface MembershipListener {
  onChannel(channel: Channel): void;
  onHostGone(error: IolError | undefined): void;
  onDenied(segment: number, error: IolError): void;
  onDomainAttached(domain: DomainInfo): void;
  onDomainGone(domain: DomainName, error: IolError | undefined): void;
  onTurnedAway(pid: number, error: IolError): void;
}

interface Connecting {
  resolve(channel: Channel): void;
  reject(error: IolError): void;
}

const { scratch } = native;

const connecting = new Map<number, Connecting>();
let listener: MembershipListener | undefined;

/** The open window, or undefined. */
export function setMembershipListener(newListener: MembershipListener | undefined): void {
  listener = newListener;
}

/** How many connections are being opened: they keep the loop alive. */
export function connectionsOpening(): number {
  return connecting.size;
}

/** Opens a channel; `onSettled` runs when it is open or refused. */
export function openChannel(
  to: string | DomainName,
  name: string,
  ringBytes: number,
  onSettled: () => void,
): Promise<Channel> {
  const label = typeof to === 'string' ? to : '';
  const { slot, epoch } = typeof to === 'string' ? { slot: 0, epoch: 0 } : to;
  const request = native.windowConnect(label, slot, epoch, name, ringBytes);
  return new Promise<Channel>((resolve, reject) => {
    connecting.set(request, { resolve, reject });
  }).finally(onSettled);
}

function onOpened(request: number, handle: number, peer: ChannelPeer, name: string): void {
  const wanted = connecting.get(request);
  connecting.delete(request);
  const channel = adoptChannel(handle, name, peer);
  if (wanted !== undefined) wanted.resolve(channel);
  else if (listener !== undefined) listener.onChannel(channel);
  else channel.close();
}

const onEvent: EventReporter = (what, text, label, error) => {
  const [first, second, third, fourth, pid, uid, gid] = Array.from(scratch.subarray(0, 7)) as Numbers;
  switch (what) {
    case Happened.Opened:
      return onOpened(first, second, { slot: third, epoch: fourth, label, pid, uid, gid }, text);
    case Happened.Refused: {
      const refused = connecting.get(first);
      connecting.delete(first);
      return refused?.reject(error!);
    }
    case Happened.HostGone:
      return listener?.onHostGone(error);
    case Happened.Denied:
      return listener?.onDenied(first, error!);
    case Happened.DomainAttached:
      return listener?.onDomainAttached({
        slot: first, epoch: second, label: text, pid: third, uid: fourth,
      });
    case Happened.DomainGone:
      return listener?.onDomainGone({ slot: first, epoch: second }, error);
    case Happened.TurnedAway:
      return listener?.onTurnedAway(third, error!);
  }
};

onWindowClosed(() => {
  const ended = [...connecting.values()];
  connecting.clear();
  for (const each of ended) each.reject(closedError('window'));
});

native.windowReporters(onChannelsReady, onEvent);
