// Plays the rows in a worker: while their objects are open, and when the window is closed.
import { parentPort } from 'node:worker_threads';

import { stats, Window } from 'io-lite';

import { tables } from './rows';
import { ownerOf, type Row, type Table } from './rows-kit';

const failures: string[] = [];

async function outcomeOf(use: (subject: object) => unknown, subject: object): Promise<string> {
  try {
    await use(subject);
    return 'allowed';
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

function expect(what: string, expected: string, found: string): void {
  if (found !== expected) failures.push(`${what}: ${found} instead of ${expected}`);
}

async function play(table: Table<object>, name: string, row: Row<object>): Promise<void> {
  const open = await table.make();
  expect(`${table.name} ${name}, open`, 'allowed', await outcomeOf(row.use, open));
  ownerOf(open)[Symbol.dispose]();
  Window.default();
  const subject = await table.make();
  Window.default().close();
  const expected = row.allowed?.includes('closed') ? 'allowed' : 'ERR_IOL_CLOSED';
  expect(`${table.name} ${name}, window closed`, expected, await outcomeOf(row.use, subject));
  Window.default();
  const again = row.allowed?.includes('released') ? 'allowed' : 'ERR_IOL_CLOSED';
  expect(`${table.name} ${name}, window opened anew`, again, await outcomeOf(row.use, subject));
}

async function main(): Promise<void> {
  for (const table of tables) {
    for (const [name, row] of Object.entries(table.rows)) await play(table, name, row);
  }
  Window.default().close();
  Window.default();
  const { aggregates, drafts, liveHolds, mappings } = stats();
  expect('handles and holds at the end', '0 0 0 0', `${aggregates} ${drafts} ${mappings} ${liveHolds}`);
  parentPort!.postMessage(failures);
}

void main();
