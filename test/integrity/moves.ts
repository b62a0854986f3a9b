// The members that move payload, and why: all others move none. One that begins to copy fails in states.test.ts.

const held: Record<string, string[]> = {
  copyTo: ['copyOut'],
  toBuffer: ['copyOut'],
  toString: ['copyOut'],
  decode: ['copyOut'],
  lines: ['copyOut'],
  // The first bytes, for people.
  toJSON: ['copyOut'],
  'Symbol(nodejs.util.inspect.custom)': ['copyOut'],
};

const draft: Record<string, string[]> = { write: ['write'], fillFrom: ['write'], sealCopy: ['draft'] };

/** As the rows use them: what they join is text, a row's aggregate is in several slices, a row's draft has 16 bytes. */
const moves: Record<string, Record<string, string[]>> = {
  Aggregate: {
    ...held,
    view: ['linearize'],
    linearize: ['linearize'],
    append: ['write'],
    prepend: ['write'],
    insert: ['write'],
    replace: ['write'],
    'static concat': ['write'],
    'static fromText': ['write'],
  },
  IolBuffer: held,
  Cursor: { readString: ['copyOut'], copyTo: ['copyOut'] },
  DraftBuffer: { ...draft, bytes: ['draft'] },
  'DraftBuffer, with bytes()': { seal: ['draft'], sealCopy: ['draft'] },
  'DraftBuffer, in place': draft,
  MappedBytes: { 'static of': ['write', 'map'], 'static open': ['map'] },
  functions: { toReadable: ['copyOut'] },
};

/** The keys of `stats().copies` under which a member counts what it moves, in their order there. */
export const movesOf = (table: string, member: string): string[] => moves[table]?.[member] ?? [];
