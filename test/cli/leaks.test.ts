/** What two looks say of leaks, on reports made by hand. */
import { strict as assert } from 'node:assert';
import { findLeaks, type DomainReport, type HoldReport, type PoolReport, type WindowReport } from 'io-lite/inspect';

function domain(name: string, pid: number, state: DomainReport['state'] = 'running'): DomainReport {
  const [slot = 0, epoch = 0] = name.split('.').map(Number);
  return {
    name, slot, epoch, label: '', pid, threadId: pid, uid: 0, command: '', state, membership: 'attached',
    isAsleep: null, isVisible: true, startedAtMs: 1, stateSinceMs: 1, maxBytes: 0, allocatedBytes: 0, doorbell: null,
  };
}

function pool(owner: string, buffersUnheld: number): PoolReport {
  return {
    owner, number: 1, name: 'p', access: [], isSealed: false, maxBytes: 0, bytesCommitted: 0, bytesInUse: 0,
    buffers: 10, drafts: 0, pending: 0, allocations: 0, segments: 1, allocatedBytes: 0, buffersHeld: 0,
    buffersUnheld, isDescribed: true,
  };
}

function hold(holder: string, owner: string, buffers: number, oldestSeconds: number | null): HoldReport {
  return { holder, owner, pool: 1, buffers, bytes: buffers * 100, holds: buffers, kernelVisible: 0, oldestSeconds };
}

function report(parts: Partial<WindowReport>): WindowReport {
  return {
    id: 'a', format: 3, address: null, allocatedBytes: 0, host: null, domains: [domain('0.1', 10), domain('1.1', 11), domain('2.1', 12, 'dead')],
    pools: [], holds: [], channels: [], incidents: [], ...parts,
  };
}

describe('iol: leaks', () => {
  it('finds nothing in a window where all is well', () => {
    const well = report({ pools: [pool('0.1', 0)], holds: [hold('0.1', '0.1', 5, null), hold('1.1', '0.1', 5, 3)] });
    assert.deepEqual(findLeaks(well, well), []);
  });

  it('tells who holds more and more, and how much more', () => {
    const before = report({ holds: [hold('1.1', '0.1', 5, 3), hold('0.1', '0.1', 9, null)] });
    const after = report({ holds: [hold('1.1', '0.1', 8, 4), hold('0.1', '0.1', 9, null)] });
    const found = findLeaks(before, after);
    assert.deepEqual(found.map(({ kind, domain: name, pid, buffers, buffersMore, bytes }) => ({ kind, name, pid, buffers, buffersMore, bytes })), [
      { kind: 'growing', name: '1.1', pid: 11, buffers: 8, buffersMore: 3, bytes: 800 },
    ]);
    assert.deepEqual(findLeaks(before, after, { pid: 10 }), []);
    assert.equal(findLeaks(before, after, { pid: 11 }).length, 1);
  });

  it('does not call growing what was not there before', () => {
    assert.deepEqual(findLeaks(report({}), report({ holds: [hold('1.1', '0.1', 8, 0)] })), []);
  });

  it('calls a foreign hold old from the given age on, never an own one', () => {
    const one = report({ holds: [hold('0.1', '0.1', 8, null), hold('1.1', '0.1', 2, 60)] });
    assert.deepEqual(findLeaks(one, one).map(({ kind, domain: name }) => [kind, name]), [['old', '1.1']]);
    assert.deepEqual(findLeaks(one, one, { oldSeconds: 61 }), []);
  });

  it('tells what keeps the memory of an owner that is gone', () => {
    const one = report({ holds: [hold('1.1', '2.1', 2, 1)] });
    assert.deepEqual(findLeaks(one, one).map(({ kind, domain: name, owner }) => [kind, name, owner]), [['orphaned', '1.1', '2.1']]);
  });

  it('tells what nobody holds at either look, and only that', () => {
    const before = report({ pools: [pool('0.1', 3)] });
    const after = report({ pools: [pool('0.1', 5)] });
    const [found, ...more] = findLeaks(before, after);
    assert.deepEqual([found?.kind, found?.domain, found?.buffers, found?.bytes, more.length], ['unheld', '0.1', 3, null, 0]);
    assert.deepEqual(findLeaks(report({ pools: [pool('0.1', 0)] }), after), []);
  });
});
