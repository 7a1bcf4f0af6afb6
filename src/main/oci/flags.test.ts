import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COMMANDS, GLOBAL_FLAGS } from './commands.ts';
import { parseFlags, UsageError } from './flags.ts';
import { durationMs } from './events.ts';
import { commandHelp, programHelp } from './help.ts';
import { signalNumber } from './kill.ts';
import { Failure } from './messages.ts';
import { linesOf } from './ps.ts';
import { byteCount } from './update.ts';

const flagsOf = (name: string): (typeof COMMANDS)[number]['flags'] =>
  COMMANDS.find((command) => command.name === name)?.flags ?? [];

test('one dash is as good as two, a value may be joined, flags may follow the words', () => {
  for (const argv of [
    ['--bundle', '/b', 'id', '--pid-file=p'],
    ['-b', '/b', '-pid-file', 'p', 'id'],
    ['id', '-bundle=/b', '--pid-file', 'p'],
  ]) {
    const { flags, words } = parseFlags(flagsOf('create'), argv);
    assert.deepEqual([flags.text('bundle'), flags.text('pid-file'), words], ['/b', 'p', ['id']]);
  }
});

test("what follows an exec's id is another program's", () => {
  const { flags, words } = parseFlags(
    flagsOf('exec'),
    ['-t', '-e', 'A=b=c', '--env', 'D=', 'id', 'ls', '-l', '--tty=x'],
    {
      wordsEnd: true,
    },
  );
  assert.equal(flags.on('tty'), true);
  assert.deepEqual(flags.list('env'), ['A=b=c', 'D=']);
  assert.deepEqual(words, ['id', 'ls', '-l', '--tty=x']);
  assert.deepEqual(parseFlags(flagsOf('kill'), ['--', '-x', '-y']).words, ['-x', '-y']);
});

test('a flag that is unknown, without its value or with a wrong one is refused', () => {
  const refused = (argv: string[], message: RegExp): void => {
    assert.throws(
      () => parseFlags(flagsOf('create'), argv),
      (error) => error instanceof UsageError && message.test(error.message),
    );
  };
  refused(['--nope'], /^flag provided but not defined: -nope$/);
  refused(['--bundle'], /^flag needs an argument: -bundle$/);
  refused(['--no-pivot=perhaps'], /invalid value "perhaps" for flag -no-pivot/);
  refused(['--preserve-fds', 'x'], /invalid value "x" for flag -preserve-fds/);
  assert.equal(parseFlags(flagsOf('create'), ['--no-pivot=false']).flags.on('no-pivot'), false);
});

test('every command and flag has a line in the help', () => {
  const text = programHelp();
  for (const command of COMMANDS) {
    assert.match(text, new RegExp(`^ +${command.name} +\\S`, 'm'));
    for (const flag of command.flags) assert.ok(commandHelp(command).includes(`--${flag.name}`), flag.name);
  }
  for (const flag of GLOBAL_FLAGS) assert.ok(text.includes(`--${flag.name}`), flag.name);
});

test('signals by number and name', () => {
  const cases = {
    '9': 9,
    KILL: 9,
    SIGTERM: 15,
    sigusr1: 10,
    RTMIN: 34,
    'RTMIN+3': 37,
    'SIGRTMAX-1': 63,
    '64': 64,
    '0': 0,
  };
  for (const [text, number] of Object.entries(cases)) assert.equal(signalNumber(text), number, text);
  for (const text of ['FOO', '65', '-1', '', 'RTMIN+40', 'constructor'])
    assert.throws(() => signalNumber(text), Failure, text);
});

test('sizes and durations', () => {
  assert.deepEqual(
    ['1024', '1k', '1KiB', '2m', '1.5g', '-1'].map((text) => byteCount(text, 'memory')),
    [1024, 1024, 1024, 2_097_152, 1_610_612_736, -1],
  );
  for (const text of ['x', '1x', '-2', '1.0001', '99999999999t'])
    assert.throws(() => byteCount(text, 'memory'), Failure);
  assert.deepEqual(['5s', '250ms', '1m30s', '1h'].map(durationMs), [5000, 250, 90_000, 3_600_000]);
  for (const text of ['5', '', 's', '5x', '1 s']) assert.throws(() => durationMs(text), Failure);
});

test('of the output of ps the lines of the container are shown', () => {
  const output = '  PID COMMAND\n    1 init\n   12 sh\n  112 sh\n';
  assert.equal(linesOf(output, [12]), '  PID COMMAND\n   12 sh\n');
  assert.throws(() => linesOf('COMMAND\nsh\n', [12]), Failure);
});
