import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { EngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import type { SpecDeviceCgroup } from '#oci/runtime-spec.ts';
import { type DeviceAccess, DeviceProgram } from '../../test/support/ebpf.ts';
import { deviceProgram, deviceWrites } from './device-rules.ts';

const BITS: Readonly<Record<string, number>> = { m: 1, r: 2, w: 4 };
const NOTHING: SpecDeviceCgroup = { allow: false, access: 'rwm' };
const EVERYTHING: SpecDeviceCgroup = { allow: true, type: 'a', access: 'rwm' };

/** What every container has besides. */
const ALWAYS: readonly SpecDeviceCgroup[] = [
  { allow: true, type: 'c', major: -1, minor: -1, access: 'm' },
  { allow: true, type: 'b', major: -1, minor: -1, access: 'm' },
  ...[
    [1, 3],
    [1, 5],
    [1, 7],
    [1, 8],
    [1, 9],
    [5, 0],
    [5, 2],
    [10, 200],
    [136, -1],
  ].map(([major = -1, minor = -1]) => ({ allow: true, type: 'c', major, minor, access: 'rwm' })),
];

function lines(rules: readonly SpecDeviceCgroup[]): string[] {
  return deviceWrites(rules).map(({ file, value }) => `${file} ${value}`);
}

function bitsOf(access = ''): number {
  return [...access].reduce((bits, letter) => bits | (BITS[letter] ?? 0), 0);
}

/** Rules of exactly the same devices add up; the devices asked for must be served by one of them alone. */
function naive(rules: readonly SpecDeviceCgroup[], asked: DeviceAccess): boolean {
  const isReset = ({ type = 'a' }: SpecDeviceCgroup): boolean => type === 'a';
  const start = rules.findLastIndex(isReset);
  const allowsByDefault = rules[start]?.allow ?? false;
  const rest = rules.slice(start + 1);
  const found = rest.some((one) => {
    const same = rest.filter((r) => r.type === one.type && r.major === one.major && r.minor === one.minor);
    const bits = same.reduce(
      (all, rule) =>
        rule.allow === allowsByDefault ? all & ~bitsOf(rule.access) : all | bitsOf(rule.access),
      0,
    );
    const covers = (given: number | undefined, wanted: number): boolean =>
      (given ?? -1) === -1 || given === wanted;
    const isMeant =
      one.type === asked.type && covers(one.major, asked.major) && covers(one.minor, asked.minor);
    const isServed = allowsByDefault ? (bits & asked.access) !== 0 : (asked.access & ~bits) === 0;
    return isMeant && isServed;
  });
  return found !== allowsByDefault;
}

const number = fc.constantFrom(-1, 1, 3, 10, 229, 0xffff_ffff);
const rule = fc.oneof(
  {
    weight: 1,
    arbitrary: fc.record({ allow: fc.boolean(), type: fc.constant('a'), access: fc.constant('rwm') }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      allow: fc.boolean(),
      type: fc.constantFrom('b', 'c'),
      major: number,
      minor: number,
      access: fc.constantFrom('r', 'w', 'm', 'rw', 'rm', 'wm', 'rwm'),
    }),
  },
);

describe('device rules', () => {
  test('v1: the default, then the exceptions', () => {
    assert.deepEqual(lines([NOTHING, { allow: true, type: 'b', major: 8, minor: 0, access: 'r' }]), [
      'devices.deny a *:* rwm',
      'devices.allow b *:* m',
      'devices.allow b 8:0 r',
      'devices.allow c *:* m',
      'devices.allow c 1:3 rwm',
      'devices.allow c 1:5 rwm',
      'devices.allow c 1:7 rwm',
      'devices.allow c 1:8 rwm',
      'devices.allow c 1:9 rwm',
      'devices.allow c 5:0 rwm',
      'devices.allow c 5:2 rwm',
      'devices.allow c 10:200 rwm',
      'devices.allow c 136:* rwm',
    ]);
    assert.deepEqual(lines([NOTHING, EVERYTHING]), ['devices.allow a *:* rwm']);
    assert.deepEqual(lines([EVERYTHING, { allow: false, type: 'c', major: 10, minor: 229, access: 'wr' }]), [
      'devices.allow a *:* rwm',
      'devices.deny c 10:229 rw',
    ]);
  });

  test('v2: the program and the rules say the same', () => {
    let compared = 0;
    const property = fc.property(fc.array(rule, { maxLength: 8 }), (rules) => {
      let bytes: Uint8Array;
      try {
        bytes = deviceProgram(rules);
      } catch (error) {
        assert.ok(error instanceof EngineError && error.message.includes('cannot be taken back'));
        return;
      }
      const program = new DeviceProgram(bytes);
      for (const type of ['b', 'c'] as const) {
        for (const major of [0, 1, 3, 10, 136, 0xffff_ffff]) {
          for (const minor of [0, 1, 3, 229]) {
            for (let access = 1; access < 8; access++) {
              const asked = { type, major, minor, access };
              const expected = naive([...rules, ...ALWAYS], asked);
              assert.equal(program.allows(asked), expected, JSON.stringify({ rules, asked }));
              compared++;
            }
          }
        }
      }
    });
    fc.assert(property, { numRuns: 150 });
    assert.ok(compared > 10_000);
  });

  test('nothing said is nothing allowed, but what every container has', () => {
    const program = new DeviceProgram(deviceProgram([]));
    assert.equal(program.allows({ type: 'c', major: 1, minor: 3, access: 6 }), true);
    assert.equal(program.allows({ type: 'b', major: 8, minor: 0, access: 1 }), true);
    assert.equal(program.allows({ type: 'b', major: 8, minor: 0, access: 2 }), false);
    assert.equal(program.allows({ type: 'c', major: 10, minor: 229, access: 2 }), false);
  });

  const allow = { allow: true, type: 'c', major: 1, minor: 1, access: 'r' };
  const refused: readonly (readonly [unknown, string])[] = [
    [null, 'linux.resources.devices[1]: not an object'],
    [{ ...allow, allow: 1 }, 'linux.resources.devices[1].allow: neither true nor false'],
    [{ ...allow, type: 'p' }, 'linux.resources.devices[1].type: not one of a, b and c: "p"'],
    [{ ...allow, major: -2 }, 'linux.resources.devices[1].major: not a device number: -2'],
    [{ ...allow, minor: 2 ** 32 }, 'linux.resources.devices[1].minor: not a device number: 4294967296'],
    [{ ...allow, access: 'x' }, 'linux.resources.devices[1].access: not made of r, w and m: "x"'],
    [{ ...allow, access: '' }, 'linux.resources.devices[1].access: not made of r, w and m: ""'],
    [
      { allow: false, type: 'c', major: 1, minor: 2, access: 'r' },
      'linux.resources.devices[1]: a part of an earlier rule cannot be taken back',
    ],
  ];
  for (const [given, text] of refused) {
    test(`refused: ${text}`, () => {
      const rules = [{ ...allow, minor: -1 }, given] as SpecDeviceCgroup[];
      assert.throws(() => deviceWrites(rules), { kind: 'invalidArgument', message: text });
      assert.throws(() => deviceProgram(rules), { kind: 'invalidArgument', message: text });
    });
  }

  test('refused: too many rules', () => {
    const rules = Array.from({ length: LIMITS.deviceRules + 1 }, () => allow);
    assert.throws(
      () => deviceProgram(rules),
      /^EngineError: linux\.resources\.devices: more than 4096 rules$/,
    );
  });
});
