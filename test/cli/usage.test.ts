/** The command line of iol: help, mistakes, exit codes. */
import { strict as assert } from 'node:assert';
import { iol } from './world';

describe('iol: usage', function () {
  this.timeout(30_000);

  it('has help for itself and for each command', () => {
    const general = iol(['--help']);
    assert.equal(general.code, 0);
    const commands = [...general.stdout.matchAll(/^ {2}iol (\w+) /gm)].map(([, name]) => name!);
    assert.deepEqual(commands, ['ls', 'show', 'domains', 'pools', 'holds', 'channels', 'incidents', 'leaks', 'top']);
    for (const command of commands) {
      const { code, stdout } = iol([command, '--help']);
      assert.equal(code, 0);
      assert.match(stdout, new RegExp(`^iol ${command}\n\nusage: iol ${command} `));
    }
  });

  it('says its version', () => {
    assert.match(iol(['--version']).stdout, /^\d+\.\d+\.\d+\n$/);
  });

  const mistakes: [string[], RegExp][] = [
    [['nothing'], /there is no command "nothing"/],
    [['ls', 'more'], /"more" is one word too many/],
    [['--colour'], /Unknown option '--colour'/],
    [['ls', '--pid', '3'], /--pid is an option of iol leaks/],
    [['leaks', '--seconds', 'soon'], /--seconds must be a number, not "soon"/],
    [['leaks', '--seconds', '-1'], /--seconds/],
    [['top', '--interval', ''], /--interval must be a number/],
    [['top', '--json'], /iol top has no --json/],
    [['show', '--window', 'my window'], /--window must be @name, a path, or a window's number/],
  ];
  for (const [args, message] of mistakes) {
    it(`refuses iol ${args.join(' ')}`, () => {
      const { code, stdout, stderr } = iol(args);
      assert.deepEqual([code, stdout], [2, '']);
      assert.match(stderr, message);
      assert.match(stderr, /iol --help says what there is/);
    });
  }

  it('says which window is not there, never its token', () => {
    const token = '0123456789abcdef0123456789abcdef';
    const named = iol(['show', '--window', `@nobody-listens-here#${token}`]);
    assert.deepEqual([named.code, named.stdout], [1, '']);
    assert.match(named.stderr, /no window @nobody-listens-here is seen/);
    const fromEnvironment = iol(['show'], { IOL_WINDOW: `@nobody-listens-here#${token}` });
    assert.equal(fromEnvironment.code, 1);
    assert.match(fromEnvironment.stderr, /IOL_WINDOW names @nobody-listens-here/);
    assert.ok(!`${named.stderr}${fromEnvironment.stderr}`.includes(token));
    assert.deepEqual(JSON.parse(iol(['show', '--json', '--window', '@nobody-listens-here']).stdout), []);
  });
});
