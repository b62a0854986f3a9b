/**
 * A look at the windows of this machine from outside: who is in, who holds what of whom, how full
 * channels are, what went wrong. Nobody is asked and nobody waits: shared memory is read through
 * `/proc/PID/fd`, so that a domain that is stopped, or a host that is dead, is seen all the same.
 *
 * Needs neither the addon nor a window of its own.
 */
import { findMemories, processIds, withMemory } from './inspect/memory';
import { WindowView } from './inspect/window-view';
import type { WindowReport } from './inspect/report';
import { validateObject, validateString } from './validate';

export type {
  ChannelReport, DomainReport, HoldReport, HostReport, IncidentReport, PoolReport, WindowReport,
} from './inspect/report';
export type { ProcessState } from './inspect/processes';
export { findLeaks, type LeakOptions, type LeakReport } from './inspect/leaks';

/** Which windows {@link inspectWindows} looks at. */
export interface InspectOptions {
  /** The one of that host: `@name` or a path, with or without `#token`. */
  address?: string;
  /** The one of that number: 16 hexadecimal digits, or their beginning. */
  id?: string;
}

// Header and indices of every kind of memory are in its first page.
const headBytes = 4096;

/**
 * Reports on every window of which this process may see something: its own user's, unless a process
 * made itself undumpable; root sees all. Figures are read while they change: each is right, together
 * they may be of different moments. No byte of payload is read.
 *
 * Takes milliseconds per thousand open descriptors, plus what there is to read of hold tables.
 */
export function inspectWindows(options: InspectOptions = {}): WindowReport[] {
  validateObject(options, 'options');
  const { address, id } = options;
  if (address !== undefined) validateString(address, 'options.address');
  if (id !== undefined) validateString(id, 'options.id');
  const views = new Map<string, WindowView>();
  for (const memory of findMemories(processIds())) {
    const head = withMemory(memory, (readAt) => readAt(0, headBytes));
    if (head === undefined) continue;
    const name = WindowView.idIn(head);
    if (name === undefined) continue;
    let view = views.get(name);
    if (view === undefined) views.set(name, (view = new WindowView(name)));
    view.add(memory, head);
  }
  const wanted = address?.replace(/#[0-9a-f]*$/, '');
  return [...views.values()]
    .filter((view) => id === undefined || view.id.startsWith(id.toLowerCase()))
    .filter((view) => wanted === undefined || view.address === wanted)
    .map((view) => view.report())
    .sort((one, other) => (one.id < other.id ? -1 : 1));
}
