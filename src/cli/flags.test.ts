import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFlags, UsageError } from './flags.ts';
import { COMMANDS } from './generated/table.ts';

const command = (name: string) => {
  const found = COMMANDS.find((c) => c.name === name);
  assert.ok(found);
  return found;
};
const refused = (name: string, words: string[]): string => {
  try {
    parseFlags(command(name), words);
  } catch (error) {
    assert.ok(error instanceof UsageError);
    return error.message;
  }
  assert.fail('it was accepted');
};

test('flags of run end at the image; the rest belongs to the command', () => {
  const { flags, args } = parseFlags(command('run'), [
    '-itd',
    '--name=x',
    '-e',
    'A=1',
    '-eB=2',
    'busybox',
    'ls',
    '-l',
  ]);
  assert.deepEqual([flags.bool('interactive'), flags.bool('tty'), flags.bool('detach')], [true, true, true]);
  assert.equal(flags.text('name'), 'x');
  assert.deepEqual(flags.list('env'), ['A=1', 'B=2']);
  assert.deepEqual(args, ['busybox', 'ls', '-l']);
});

test('flags of ps stand anywhere; two dashes end them', () => {
  const { flags, args } = parseFlags(command('logs'), ['c', '-f', '-n=5', '--', '-x']);
  assert.equal(flags.bool('follow'), true);
  assert.equal(flags.text('tail'), '5');
  assert.deepEqual(args, ['c', '-x']);
});

test('the texts of refusals', () => {
  assert.equal(refused('run', ['--nosuch', 'x']), 'unknown flag: --nosuch');
  assert.equal(refused('run', ['-z']), "unknown shorthand flag: 'z' in -z");
  assert.equal(refused('run', ['--name']), 'flag needs an argument: --name');
  assert.equal(refused('ps', ['-n']), "flag needs an argument: 'n' in -n");
  assert.equal(
    refused('ps', ['-n', 'x']),
    'invalid argument "x" for "-n, --last" flag: strconv.ParseInt: parsing "x": invalid syntax',
  );
  assert.equal(
    refused('ps', ['--all=maybe']),
    'invalid argument "maybe" for "-a, --all" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
  );
});
