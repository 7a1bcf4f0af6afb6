import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { SpecSeccomp } from '#oci/runtime-spec.ts';
import { BpfProgram } from '../../../test/support/bpf.ts';
import { seccompArguments, type SeccompValues } from '../../../test/support/seccomp-values.ts';
import { compileSeccomp } from './compile.ts';
import { DEFAULT_PROFILE } from './default-profile.ts';
import { type AbiName, isSystemCall, type Numbers, SYSCALLS } from './tables.ts';

const FOLDER = new URL('../../../test/reference/seccomp/', import.meta.url);
const RECORDED = JSON.parse(readFileSync(new URL('profiles.json', FOLDER), 'utf8')) as Record<
  string,
  SpecSeccomp
>;
/** Of the profile that has them: runc passes over any name, ours only over those of other architectures. */
const UNKNOWN_NAMES = ['no_such_call', 'another_one'];
const PROFILES: typeof RECORDED = Object.fromEntries(
  Object.entries(RECORDED).map(([name, profile]) => [name, withoutUnknown(profile)]),
);
/** Calls that libseccomp 2.5.4 does not know at all, and those that it does not know of an ABI. */
const NEWER = JSON.parse(readFileSync(new URL('newer-calls.json', FOLDER), 'utf8')) as {
  names: string[];
  numbers: string[];
};
/** A fault of libseccomp 2.5.4, not repeated. */
const FAULTY = 'bounds-from-both-sides';
const ARCHS = { x86_64: 0xc000003e, x86: 0x40000003 } as const;
const ARM64 = { aarch64: 0xc00000b7, arm: 0x40000028 } as const;
const ARM64_ABIS = ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'];
const FOREIGN = [0xc00000b7, 0x40000028, 0xc00000f3, 0, 0xffffffff];
const X32 = 0x40000000;
const EDGES = [0x3fffffff, 0x7fffffff, 0x80000000, 0xbfffffff, 0xc0000000, 0xfffffffe, 0xffffffff];
/** Of x86, reached through others: libseccomp gives them no number of their own, but filters that, too. */
const CARRIED_ABI: AbiName = 'x86';

interface Known {
  readonly tables: Record<AbiName, Numbers>;
  readonly names: ReadonlySet<string>;
}

function withoutUnknown(profile: SpecSeccomp): SpecSeccomp {
  const syscalls = (profile.syscalls ?? []).map((rule) => ({
    ...rule,
    names: rule.names.filter((name) => !UNKNOWN_NAMES.includes(name)),
  }));
  return { ...profile, syscalls };
}

/** The numbers as libseccomp has them, in the form of ours. */
function libseccompNumbers(): Known {
  const text = readFileSync(new URL('libseccomp-numbers.txt', FOLDER), 'utf8');
  const [head = '', ...lines] = text.trim().split('\n').slice(1);
  const abis = head.split(' ').slice(1) as AbiName[];
  const tables: Record<AbiName, Map<string, number>> = {
    x86_64: new Map(),
    x32: new Map(),
    x86: new Map(),
    aarch64: new Map(),
    arm: new Map(),
  };
  const names = new Set<string>();
  for (const line of lines) {
    const [name = '', ...numbers] = line.split(' ');
    names.add(name);
    for (const [i, abi] of abis.entries()) {
      const own = abi === CARRIED_ABI ? SYSCALLS.x86.get(name) : undefined;
      const number = Number(numbers[i]) < 0 ? own : Number(numbers[i]) - (abi === 'x32' ? X32 : 0);
      if (number !== undefined) tables[abi].set(name, number);
    }
  }
  return { tables, names };
}

function numbers(): number[] {
  const low = Array.from({ length: 560 }, (_, i) => i);
  return [...low, ...low.map((number) => number + X32), ...EDGES];
}

interface Question {
  readonly arch: number;
  readonly number: number;
  readonly args: readonly bigint[];
}

function questions(values: SeccompValues): Question[] {
  const all: Question[] = [];
  for (const [name, arch] of Object.entries(ARCHS)) {
    for (const number of numbers()) {
      const abi = name === 'x86' ? 'x86' : number >= X32 ? 'x32' : 'x86_64';
      for (const args of values(abi, number % X32)) all.push({ arch, number, args });
    }
  }
  const args = [0n, 0n, 0n, 0n, 0n, 0n];
  for (const arch of FOREIGN)
    for (const number of [0, 1, 59, X32, ...EDGES]) all.push({ arch, number, args });
  return all;
}

function shown({ arch, number, args }: Question): string {
  return `${arch.toString(16)} ${number} (${args.map((arg) => arg.toString(16)).join(', ')})`;
}

function differences(
  name: string,
  tables: Readonly<Record<AbiName, Numbers>>,
): { asked: Question[]; unequal: Question[] } {
  const profile = PROFILES[name];
  assert.ok(profile);
  const theirs = new BpfProgram(readFileSync(new URL(`${name}.bpf`, FOLDER)));
  const ours = new BpfProgram(compileSeccomp(profile, 'x86_64', tables).program);
  const asked = questions(seccompArguments(profile, tables));
  return { asked, unequal: asked.filter((question) => ours.run(question) !== theirs.run(question)) };
}

describe('seccomp, beside the filters that runc and libseccomp make', () => {
  const known = libseccompNumbers();
  for (const name of Object.keys(PROFILES)) {
    if (name === FAULTY) continue;
    test(`${name}: the same verdicts, with the numbers that libseccomp knows`, () => {
      const { asked, unequal } = differences(name, known.tables);
      assert.ok(asked.length > 2000);
      assert.deepEqual(unequal.map(shown).slice(0, 10), []);
    });
  }

  for (const [name, profile] of Object.entries(PROFILES)) {
    if (name === FAULTY) continue;
    test(`${name}: the same verdicts on arm64 as libseccomp's`, () => {
      const logging = { ...profile, defaultAction: 'SCMP_ACT_LOG', architectures: ARM64_ABIS };
      const theirs = new BpfProgram(readFileSync(new URL(`arm64/${name}.bpf`, FOLDER)));
      const ours = new BpfProgram(compileSeccomp(logging, 'aarch64', known.tables).program);
      const values = seccompArguments(logging, known.tables);
      const private32 = Array.from({ length: 10 }, (_, i) => 0xf0000 + i);
      const asked = (['aarch64', 'arm'] as const).flatMap((abi) =>
        [...numbers(), ...private32].flatMap((number) =>
          values(abi, number).map((args) => ({ arch: ARM64[abi], number, args })),
        ),
      );
      assert.deepEqual(
        asked
          .filter((one) => ours.run(one) !== theirs.run(one))
          .map(shown)
          .slice(0, 10),
        [],
      );
    });
  }

  test('names of other architectures have no effect, as with runc; what no architecture has is refused', () => {
    const recorded = RECORDED['unknown-names'];
    const foreign = PROFILES['unknown-names']?.syscalls?.flatMap(({ names }) => names) ?? [];
    assert.ok(recorded && foreign.includes('s390_pci_mmio_read') && foreign.includes('riscv_flush_icache'));
    assert.throws(
      () => compileSeccomp(recorded, 'x86_64'),
      /^EngineError: linux\.seccomp\.syscalls\[0\]\.names\[11\]: unknown system call "no_such_call"$/,
    );
    for (const name of known.names) assert.ok(isSystemCall(name), name);
    for (const { names = [] } of DEFAULT_PROFILE.syscalls ?? []) {
      for (const name of names) assert.ok(isSystemCall(name), name);
    }
  });

  test('libseccomp forgets an upper bound beside a lower one: ours does not', () => {
    const { unequal } = differences(FAULTY, SYSCALLS);
    const ours = new BpfProgram(compileSeccomp(PROFILES[FAULTY] ?? { defaultAction: '' }, 'x86_64').program);
    assert.ok(unequal.length > 0);
    for (const question of unequal) {
      const bits = question.arch === ARCHS.x86 || question.number >= X32 ? 32 : 64;
      const [first = 0n, second = 0n] = question.args.map((arg) => BigInt.asUintN(bits, arg));
      const isRefused = (first < 2n && second < 2n) || first > 16n;
      assert.equal(ours.run(question), isRefused ? 0x00050001 : 0x7fff0000, shown(question));
    }
  });

  test('libseccomp has the same numbers, and does not know these', () => {
    const unknown = Object.values(SYSCALLS).flatMap((table) =>
      [...table.keys()].filter((n) => !known.names.has(n)),
    );
    assert.deepEqual([...new Set(unknown)].toSorted(), NEWER.names);
    for (const [abi, table] of Object.entries(known.tables)) {
      const ours = SYSCALLS[abi as AbiName];
      for (const [name, number] of table) assert.equal(ours.get(name), number, `${abi} ${name}`);
      for (const name of ours.keys()) {
        const isListed = NEWER.names.includes(name) || NEWER.numbers.includes(`${abi} ${name}`);
        assert.equal(table.has(name), !isListed, `${abi} ${name}`);
      }
    }
  });

  test('with all numbers, the default profile differs for calls that libseccomp does not know', () => {
    for (const name of ['default', 'default-all-capabilities']) {
      const { unequal } = differences(name, SYSCALLS);
      assert.ok(unequal.length > 0);
      for (const { number } of unequal) {
        const own = number % X32;
        const names = Object.values(SYSCALLS).flatMap((table) => [...table].filter(([, n]) => n === own));
        const isNewer = names.some(([newer]) => NEWER.names.includes(newer) || newer === 'map_shadow_stack');
        assert.ok(isNewer, `${name} ${number}`);
      }
    }
  });
});
