/**
 * Aggregates in messages between threads and processes: a plain object crosses in place of the bytes,
 * and the bytes' names are fetched over a channel.
 *
 *   toTransfer() -> { window, domain, id } -- postMessage, child.send --> fromTransfer()
 *       holds the bytes  <------------- channel "iol.transfer": id -------------/
 *                        -------------- the aggregate ------------>
 */
import { adoptAggregate, setTransfers, type Aggregate } from '../aggregate/aggregate';
import { IolError } from '../errors';
import { onWindowClosed } from '../leaks';
import { native } from '../native';
import { handleOf } from '../resource';
import { invalidType, validateInteger, validateString } from '../validate';
import { setChannelServer, Window } from '../window/window';
import type { Channel, DomainName } from './channel';

/** What stands for an aggregate in a message: plain data, which any clone or JSON carries. */
export interface AggregateTransfer extends DomainName {
  /** Of the window that both sides take part in. */
  readonly window: string;
  readonly id: number;
}

const transferName = 'iol.transfer';

/** What waits to be fetched. */
const offered = new Map<number, Aggregate>();
/** Channels for fetching, by the domain at their other end. */
const servers = new Map<string, Promise<Channel>>();
let lastId = 0;

onWindowClosed(() => {
  offered.clear();
  servers.clear();
});

function offer(bytes: Aggregate): AggregateTransfer {
  const handle = handleOf(bytes);
  const { id: window, isAttached, ownDomain: domain } = Window.default();
  if (!isAttached) {
    throw new IolError(
      'ERR_IOL_HOST_GONE',
      'The window has no host: an aggregate crosses only between domains of one window',
    );
  }
  const id = ++lastId;
  offered.set(id, adoptAggregate(native.aggregateClone(handle), -1, false));
  setChannelServer(transferName, serve);
  return { window, slot: domain.slot, epoch: domain.epoch, id };
}

/** Forgets what was not fetched. */
function withdraw(transfer: AggregateTransfer): boolean {
  const bytes = offered.get(transfer.id);
  offered.delete(transfer.id);
  bytes?.dispose();
  return bytes !== undefined;
}

/** Answers each id with what it stands for, once; with metadata when there is nothing. */
async function serve(channel: Channel): Promise<void> {
  channel.unref();
  try {
    for await (const request of channel) {
      const id = Number(request.metadata.toString());
      request.dispose();
      const bytes = offered.get(id);
      offered.delete(id);
      if (bytes === undefined) await channel.send('', 'gone');
      else await channel.send(bytes);
      bytes?.dispose();
    }
  } catch {
    // The other side has ended: it fetches no more.
  }
  channel.close();
}

async function connectTo(domain: DomainName): Promise<Channel> {
  const key = `${domain.slot}.${domain.epoch}`;
  let server = servers.get(key);
  if (server === undefined) {
    server = Window.default().connect({ slot: domain.slot, epoch: domain.epoch }, { name: transferName });
    servers.set(key, server);
    server.catch(() => servers.delete(key));
  }
  return await server;
}

async function fetch(transfer: AggregateTransfer): Promise<Aggregate> {
  if (typeof transfer !== 'object' || transfer === null) {
    throw invalidType('transfer', 'of type object', transfer);
  }
  validateString(transfer.window, 'transfer.window');
  validateInteger(transfer.id, 'transfer.id', 1);
  validateInteger(transfer.slot, 'transfer.slot');
  validateInteger(transfer.epoch, 'transfer.epoch');
  native.windowStart(); // Throws when it was closed: no other is opened.
  const { id, ownDomain: domain } = Window.default();
  if (transfer.window !== id) {
    throw new IolError('ERR_IOL_NO_DOMAIN', 'The transfer is of another window');
  }
  if (transfer.slot === domain.slot && transfer.epoch === domain.epoch) {
    const bytes = offered.get(transfer.id);
    offered.delete(transfer.id);
    if (bytes === undefined) throw goneError();
    const own = bytes.clone();
    bytes.dispose();
    return own;
  }
  const channel = await connectTo(transfer);
  // Answers come in the order of the requests, and receive() answers in the order of its calls.
  const answer = channel.receive();
  await channel.send('', String(transfer.id));
  const message = await answer;
  if (message === null) throw new IolError('ERR_IOL_PEER_DEAD', 'The transfer: its sender has ended');
  if (message.metadata.length === 0) return message.aggregate;
  message.dispose();
  throw goneError();
}

function goneError(): IolError {
  return new IolError('ERR_IOL_CLOSED', 'The transfer was fetched already, or withdrawn');
}

setTransfers({ offer, fetch, withdraw });
