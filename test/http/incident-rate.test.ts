// Of what TypeScript sees of clients as much is told as of what the addon sees.
import assert from 'node:assert/strict';

import { IncidentRate } from '../../lib/http/incidents';

describe('IncidentRate', () => {
  it('lets ten through in a second, and says in the next one how many were missed', () => {
    const rate = new IncidentRate();
    const outcomes = Array.from({ length: 14 }, (_, i) => rate.admit(5000 + i));
    assert.deepEqual(outcomes, [...new Array<number>(10).fill(0), undefined, undefined, undefined, undefined]);
    assert.equal(rate.admit(5999), undefined);
    assert.equal(rate.admit(6000), 5);
    assert.equal(rate.admit(6001), 0);
  });
});
