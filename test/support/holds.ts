// Every release has a proof: after each test this thread holds what it held before it.
import assert from 'node:assert/strict';

import { stats } from 'io-lite';

/** Call inside a `describe`. The file cache keeps holds of its own: not for tests that use it. */
export function checkHolds(): void {
  let before: { liveHolds: number; drafts: number; aggregates: number; mappings: number };
  const now = (): typeof before => {
    const { liveHolds, drafts, aggregates, mappings } = stats();
    return { liveHolds, drafts, aggregates, mappings };
  };
  beforeEach(() => {
    before = now();
  });
  afterEach(() => {
    assert.deepEqual(now(), before, 'holds and handles are back to what they were');
  });
}

/** Bytes copied by reason while `work` runs, without the reasons that nothing was copied for. */
export function copiesDuring(work: () => void): Record<string, number> {
  const before = stats().copies;
  work();
  const after = stats().copies;
  return Object.fromEntries(
    Object.entries(after)
      .map(([reason, { bytes }]) => [reason, bytes - before[reason]!.bytes] as const)
      .filter(([, bytes]) => bytes > 0),
  );
}
