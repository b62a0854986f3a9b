/** How the CLI says numbers, times and tables. */
import { strict as assert } from 'node:assert';
import { bytes, since, span, styleOf, table, type Style } from '../../lib/cli/text';

const plain: Style = { isRaw: false, hasColour: false, columns: Infinity };

describe('iol: text', () => {
  it('says bytes in units of three digits at most', () => {
    const said = [0, 999, 1000, 1024, 1536, 10_240, 1_047_552, 1_048_576, 5 * 2 ** 30, 3 * 2 ** 50].map((each) => bytes(each, plain));
    assert.deepEqual(said, ['0B', '999B', '1.0K', '1.0K', '1.5K', '10K', '1.0M', '1.0M', '5.0G', '3.0P']);
    assert.equal(bytes(1536, { ...plain, isRaw: true }), '1536');
  });

  it('says spans in their largest unit', () => {
    assert.deepEqual(
      [0, 0.4, 59, 119, 120, 3600, 7199, 7200, 7260, 172_799, 172_800, 1e7].map(span),
      ['0s', '0s', '59s', '119s', '2m', '60m', '119m', '2h00m', '2h01m', '47h59m', '2d', '115d'],
    );
    assert.equal(since(0), '-');
    assert.equal(since(1000, 6000), '5s');
  });

  it('aligns numbers to the right, words to the left, and pads no last word', () => {
    const text = table(
      [{ title: 'NAME' }, { title: 'COUNT', isNumber: true }, { title: 'WHY' }],
      [{ cells: ['a', '5', 'x'] }, { cells: ['longer', '12345678', 'yy'] }],
      plain,
    );
    assert.equal(text, 'NAME       COUNT  WHY\na              5  x\nlonger  12345678  yy');
  });

  it('cuts lines at the width of the terminal, colour not counted', () => {
    const style = { isRaw: false, hasColour: true, columns: 7 };
    const text = table([{ title: 'NAME' }, { title: 'WHY' }], [{ cells: ['abc', 'because'], colour: 'red' }], style);
    assert.equal(text, '\x1b[1mNAME  W\x1b[0m\n\x1b[31mabc   b\x1b[0m');
  });

  it('has colour on a terminal only, and not with NO_COLOR', () => {
    const stream = (isTTY: boolean): NodeJS.WriteStream => ({ isTTY, columns: 100 }) as unknown as NodeJS.WriteStream;
    const { NO_COLOR: before, TERM: term } = process.env;
    try {
      delete process.env['NO_COLOR'];
      process.env['TERM'] = 'xterm';
      assert.deepEqual(styleOf(stream(true), false), { isRaw: false, hasColour: true, columns: 100 });
      assert.deepEqual(styleOf(stream(false), true), { isRaw: true, hasColour: false, columns: Infinity });
      process.env['NO_COLOR'] = '1';
      assert.equal(styleOf(stream(true), false).hasColour, false);
    } finally {
      if (before === undefined) delete process.env['NO_COLOR'];
      else process.env['NO_COLOR'] = before;
      process.env['TERM'] = term;
    }
  });
});
