import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfig } from './config.ts';
import { parseFlags } from './config/flags.ts';
import { checkSupported } from './config/supported.ts';
import { IGNORED_KEYS, OPTION_BY_FLAG, OPTION_BY_KEY } from './config/options.ts';

interface Reference {
  readonly validate: readonly { name: string; text: string; args?: string[]; exit: number; output: string }[];
  readonly flags: readonly { long: string }[];
  readonly keys: readonly { key: string; ignored?: boolean }[];
}

const path = join(import.meta.dirname, '../../test/reference/daemon-config.json');
const reference = JSON.parse(readFileSync(path, 'utf8')) as Reference;

/** What `--validate` says, with the file's name replaced. */
function validate(text: string, args: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-config-'));
  const file = join(folder, 'daemon.json');
  try {
    writeFileSync(file, text);
    loadConfig(parseFlags(['--config-file', file, ...args]).values);
    return 'configuration OK';
  } catch (error) {
    return (error as Error).message.replaceAll(file, 'FILE');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

for (const { name, text, args, output } of reference.validate) {
  test(`daemon.json: ${name}`, () => {
    const said = validate(text, args ?? []);
    assert.equal(said.split('\n  line ')[0], output.split('\n').at(name === 'userns-remap' ? 1 : 0));
  });
}

test('a mistake in daemon.json is said with line, column and advice', () => {
  assert.match(
    validate('{\n  "debug": true,\n  // x\n}', []),
    /\n {2}line 3, column 3: JSON has no comments: remove this one$/,
  );
  assert.match(
    validate('{"debug": true,\n "mtuu": 1}', []),
    /\n {2}line 2, column 2: remove it, or look for a typing mistake$/,
  );
  assert.match(
    validate('{\n\n"debug": 1}', []),
    /of type bool\n {2}line 3, column 1: give "debug" a value of the right type$/,
  );
  assert.match(
    validate('{"debug": true', []),
    /unexpected EOF\n {2}line 1, column 15: the text ends too early/,
  );
});

test('every flag and key of the reference is known', () => {
  const actions = new Set(['help', 'validate', 'version']);
  const flags = reference.flags.filter(({ long }) => !actions.has(long) && !OPTION_BY_FLAG.has(long));
  assert.deepEqual(flags, []);
  const keys = reference.keys.filter(({ key }) => !OPTION_BY_KEY.has(key) && !IGNORED_KEYS.has(key));
  assert.deepEqual(keys, []);
});

test('flags: forms, defaults, mistakes', () => {
  const { values } = parseFlags([
    '-D',
    '-H',
    'unix:///a',
    '--host=tcp://1.2.3.4:5',
    '--log-opt',
    'max-size=1m',
    '-lwarn',
  ]);
  assert.deepEqual(values.get('hosts'), ['unix:///a', 'tcp://1.2.3.4:5']);
  assert.deepEqual(values.get('log-opts'), { 'max-size': '1m' });
  assert.equal(values.get('log-level'), 'warn');
  assert.throws(() => parseFlags(['--nosuch']), /^EngineError: unknown flag: --nosuch$/);
  assert.throws(
    () => parseFlags(['--mtu', 'x']),
    /invalid argument "x" for "--mtu" flag: strconv.ParseInt: parsing "x": invalid syntax/,
  );
  assert.throws(() => parseFlags(['--bip']), /flag needs an argument: --bip/);
  assert.equal(parseFlags(['--validate']).action, 'validate');
});

const REFUSED_STARTS: readonly (readonly [string[], RegExp | null])[] = [
  [
    ['--authorization-plugin', 'x'],
    /^authorization plugins are not supported: every request would be allowed$/,
  ],
  [['--userns-remap', 'default'], null],
  [['--userns-remap', ''], null],
  [
    ['-b', 'br7', '--bip', '10.1.1.1/24'],
    /^You specified -b & --bip, mutually exclusive options\. Please specify only one$/,
  ],
  [['-b', 'br7', '--bip6', 'fd00::1/64'], /^You specified -b & --bip6, mutually exclusive options\./],
  [['--icc=false', '--iptables=false'], /^You specified --iptables=false with --icc=false\. ICC=false uses/],
  [['--icc=false'], null],
  [['-b', 'br7'], null],
];

for (const [args, refusal] of REFUSED_STARTS) {
  test(`start with ${args.join(' ')}: ${refusal === null ? 'goes on' : 'refused'}`, () => {
    assert.equal(validate('{}', args), 'configuration OK');
    const config = loadConfig(parseFlags(['--config-file', '/dev/null', ...args]).values);
    if (refusal === null) checkSupported(config);
    else assert.throws(() => checkSupported(config), { message: refusal });
  });
}

test('plugins that a file names refuse the start, an empty list does not', () => {
  const check = (plugins: readonly string[]): void =>
    checkSupported(
      loadConfig(
        new Map<string, string | readonly string[]>([
          ['config-file', '/dev/null'],
          ['authorization-plugins', plugins],
        ]),
      ),
    );
  check([]);
  assert.throws(() => check(['x']), /authorization plugins are not supported/);
});
