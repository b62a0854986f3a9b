// Aggregates over a channel of two processes that share a window: only names of bytes are sent.
import { inspect, iolite } from '../../micro/packages.mjs';
import { check } from '../content.mjs';

export const name = 'io-lite';
export const about = 'Channel, aggregates by reference';
export const available = () => true;

/** What is idle is kept: a sender that goes on needs as much again. */
const IDLE_BYTES_MAX = 512 << 20;
/** A draft of this size or larger is filled where it lies. */
const IN_PLACE_BYTES_MIN = 16 * 1024;

export async function openClient({ start }, domain = {}) {
  const window = await iolite.Window.create({ label: 'sender', ...domain });
  const opened = new Promise((resolve) => window.once('channel', resolve));
  window.on('channel', () => {});
  await start({ env: window.env() });
  return link(window, await opened);
}

export async function openServer(context, domain = {}) {
  const window = await iolite.Window.attach({ label: 'receiver', ...domain });
  return link(window, await window.connect('sender'));
}

/** The bench is over: whoever ends first does not close the channel. */
function endOf(error) {
  if (error.code !== 'ERR_IOL_PEER_DEAD') throw error;
  return null;
}

function link(window, channel) {
  const pool = window.createPool({ name: 'bench', idleBytesMax: IDLE_BYTES_MAX });
  const make = (size, value) => {
    const draft = pool.allocate(size);
    if (size >= IN_PLACE_BYTES_MIN) new Uint8Array(draft.bytes()).fill(value);
    else draft.fill(value);
    return draft.seal();
  };
  const post = (bytes) => (channel.trySend(bytes) ? undefined : channel.send(bytes));
  const answer = make(8, 1);
  return {
    reads: false,
    again: make,
    fresh: make,
    send: post,
    sendFresh(bytes) {
      const waiting = post(bytes); // which holds the bytes
      bytes.dispose();
      return waiting;
    },
    release: (bytes) => bytes.dispose(),
    ack: () => post(answer),
    /** What both sides have done to wait, since they began. */
    waits() {
      const [{ domains }] = inspect.inspectWindows({ id: window.id });
      const sum = (key) => domains.reduce((total, { doorbell }) => total + (doorbell?.[key] ?? 0), 0);
      return { rings: sum('rings'), sleeps: sum('sleeps'), spinsInVain: sum('spinsInVain') };
    },
    async listen(onMessage, valueOf) {
      for (;;) {
        const message = channel.tryReceive() ?? await channel.receive().catch(endOf);
        if (message === null) return;
        if (this.reads) for (const view of message.aggregate) check(view, valueOf());
        message.dispose();
        onMessage();
      }
    },
  };
}
