import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { SpecSeccomp, SpecSeccompArg, SpecSyscall } from '#oci/runtime-spec.ts';
import { BpfProgram } from '../../../test/support/bpf.ts';
import { seccompArguments } from '../../../test/support/seccomp-values.ts';
import { compileSeccomp } from './compile.ts';
import { seccompFor } from './profile.ts';
import { ABIS, type Abi, type SeccompArch, SYSCALLS } from './tables.ts';

const ALLOW = 0x7fff0000;
const ERRNO = 0x00050000;
const KILL = 0;
const NAMES = ['read', 'kill', 'dup', 'clone', 'mmap2', 'newfstatat', 'cachestat', 'sysmips'];
const VALUES = [0, 1, 2, 7, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001, 0x3_0000_0002];

/** What the specification says, word for word; all rules have the same action, so that no order matters. */
function naive(
  profile: SpecSeccomp,
  abi: Abi,
  question: { number: number; args: readonly bigint[] },
): number {
  const numbers = SYSCALLS[abi.name];
  const rules = profile.syscalls ?? [];
  const numberOf = (rule: SpecSyscall): number[] =>
    rule.names.flatMap((name) => {
      const number = numbers.get(name);
      return number === undefined ? [] : [number];
    });
  const own = question.number - abi.base;
  const holds = ({ index, op, value, valueTwo = 0 }: SpecSeccompArg): boolean => {
    const given = BigInt.asUintN(abi.bits, question.args[index] ?? 0n);
    const wanted = BigInt.asUintN(abi.bits, BigInt(value));
    const second = BigInt.asUintN(abi.bits, BigInt(valueTwo));
    const operators: Readonly<Record<string, () => boolean>> = {
      SCMP_CMP_NE: () => given !== wanted,
      SCMP_CMP_LT: () => given < wanted,
      SCMP_CMP_LE: () => given <= wanted,
      SCMP_CMP_EQ: () => given === wanted,
      SCMP_CMP_GE: () => given >= wanted,
      SCMP_CMP_GT: () => given > wanted,
      SCMP_CMP_MASKED_EQ: () => (given & wanted) === (second & wanted),
    };
    return operators[op]?.() ?? false;
  };
  const matches = (rule: SpecSyscall): boolean => {
    const args = rule.args ?? [];
    const isRepeated = new Set(args.map(({ index }) => index)).size < args.length;
    return numberOf(rule).includes(own) && (isRepeated ? args.some(holds) : args.every(holds));
  };
  const isAllowed = profile.defaultAction === 'SCMP_ACT_ALLOW';
  const last = Math.max(0, ...rules.flatMap(numberOf));
  if (!isAllowed && last > 0 && own > last) return ERRNO | 38;
  return rules.some(matches) === isAllowed ? ERRNO | 1 : ALLOW;
}

const argument = fc.record({
  index: fc.integer({ min: 0, max: 2 }),
  op: fc.constantFrom('NE', 'LT', 'LE', 'EQ', 'GE', 'GT', 'MASKED_EQ').map((op) => `SCMP_CMP_${op}`),
  value: fc.constantFrom(...VALUES),
  valueTwo: fc.constantFrom(...VALUES),
});
const profile = fc.record({
  isAllowed: fc.boolean(),
  rules: fc.array(
    fc.record({
      names: fc.uniqueArray(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 3 }),
      args: fc.array(argument, { maxLength: 3 }),
    }),
    { maxLength: 6 },
  ),
});

interface Given {
  readonly isAllowed: boolean;
  readonly rules: readonly Omit<SpecSyscall, 'action'>[];
}

function specOf({ isAllowed, rules }: Given, arch: SeccompArch): SpecSeccomp {
  const [byDefault, action] = isAllowed
    ? ['SCMP_ACT_ALLOW', 'SCMP_ACT_ERRNO']
    : ['SCMP_ACT_ERRNO', 'SCMP_ACT_ALLOW'];
  return {
    defaultAction: byDefault,
    architectures: ABIS[arch].map(({ scmp }) => scmp),
    syscalls: rules.map((rule) => ({ ...rule, action })),
  };
}

function verdict(seccomp: SpecSeccomp, number: number, args: readonly bigint[] = []): number {
  const { program } = compileSeccomp(seccomp, 'x86_64');
  return new BpfProgram(program).run({ arch: 0xc000003e, number, args });
}

describe('compiling seccomp', () => {
  for (const arch of ['x86_64', 'aarch64'] as const) {
    test(`${arch}: the filter judges as the specification says`, () => {
      fc.assert(
        fc.property(profile, (given) => {
          const seccomp = specOf(given, arch);
          const filter = new BpfProgram(compileSeccomp(seccomp, arch).program);
          const values = seccompArguments(seccomp, SYSCALLS);
          for (const abi of ABIS[arch]) {
            const numbers = NAMES.flatMap((name) => SYSCALLS[abi.name].get(name) ?? []);
            for (const number of [...numbers, ...numbers.map((n) => n + 1), 500, 0]) {
              for (const args of values(abi.name, number).slice(0, 300)) {
                const question = { arch: abi.audit, number: number + abi.base, args };
                const expected = naive(seccomp, abi, question);
                assert.equal(filter.run(question), expected, `${abi.name} ${number} ${args.join()}`);
              }
            }
          }
        }),
        { numRuns: 60 },
      );
    });
  }

  test('a foreign architecture is killed', () => {
    const { program } = compileSeccomp({ defaultAction: 'SCMP_ACT_ALLOW' }, 'aarch64');
    const filter = new BpfProgram(program);
    assert.equal(filter.run({ arch: 0xc000003e, number: 0, args: [] }), KILL);
    assert.equal(filter.run({ arch: 0xc00000b7, number: 0, args: [] }), ALLOW);
    assert.equal(filter.run({ arch: 0x40000028, number: 0, args: [] }), KILL);
  });

  test('every action has its value', () => {
    const values = {
      SCMP_ACT_KILL: 0,
      SCMP_ACT_KILL_THREAD: 0,
      SCMP_ACT_KILL_PROCESS: 0x80000000,
      SCMP_ACT_TRAP: 0x00030000,
      SCMP_ACT_ERRNO: 0x00050001,
      SCMP_ACT_TRACE: 0x7ff00001,
      SCMP_ACT_LOG: 0x7ffc0000,
      SCMP_ACT_ALLOW: 0x7fff0000,
    };
    for (const [action, value] of Object.entries(values)) {
      assert.equal(verdict({ defaultAction: action }, 1), value);
    }
    assert.equal(verdict({ defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: 0 }, 1), 0x00050000);
    assert.equal(verdict({ defaultAction: 'SCMP_ACT_TRACE', defaultErrnoRet: 0xffff }, 1), 0x7ff0ffff);
  });

  test('flags: those of the kernel; without any, no slow-down of speculation', () => {
    const flags = (names?: string[]): number =>
      compileSeccomp({ defaultAction: 'SCMP_ACT_ALLOW', ...(names ? { flags: names } : {}) }, 'x86_64').flags;
    assert.equal(flags(), 4);
    assert.equal(flags([]), 0);
    assert.equal(flags(['SECCOMP_FILTER_FLAG_LOG', 'SECCOMP_FILTER_FLAG_SPEC_ALLOW']), 6);
    assert.equal(flags(['SECCOMP_FILTER_FLAG_TSYNC', 'SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV']), 0);
  });

  test('values beyond what a number holds are exact, in the specification, too', () => {
    const text = `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["kill"],"action":"SCMP_ACT_LOG",
      "args":[{"index":0,"value":18446744073709551615,"op":"SCMP_CMP_EQ"}]}]}`;
    const host = { arch: 'x64', kernelVersion: '6.1' };
    const seccomp = seccompFor({ profile: text, privileged: false, capabilities: [], host });
    assert.ok(seccomp);
    assert.match(JSON.stringify(seccomp), /"value":18446744073709551615[,}]/);
    assert.equal(verdict(seccomp, 62, [0xffff_ffff_ffff_ffffn]), 0x7ffc0000);
    assert.equal(verdict(seccomp, 62, [0xffff_ffff_ffff_fffen]), ALLOW);
  });

  test('jumps reach across a filter of many instructions, and it may not have more than the kernel takes', () => {
    const names = [...SYSCALLS.x86_64.keys()];
    const rules = (count: number): SpecSyscall[] =>
      names.slice(0, count).map((name, i) => ({
        names: [name],
        action: i % 2 === 0 ? 'SCMP_ACT_LOG' : 'SCMP_ACT_TRAP',
        args: [{ index: i % 6, op: 'SCMP_CMP_GT', value: 2 ** 33 + i }],
      }));
    const seccomp = (count: number): SpecSeccomp => ({
      defaultAction: 'SCMP_ACT_ALLOW',
      architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
      syscalls: rules(count),
    });
    const filter = new BpfProgram(compileSeccomp(seccomp(200), 'x86_64').program);
    assert.ok(filter.length > 1000);
    for (const [i, name] of names.slice(0, 200).entries()) {
      const args = Array.from({ length: 6 }, (_, at) => (at === i % 6 ? BigInt(2 ** 33 + i + 1) : 0n));
      const call = { arch: 0xc000003e, number: SYSCALLS.x86_64.get(name) ?? -1, args };
      assert.equal(filter.run(call), i % 2 === 0 ? 0x7ffc0000 : 0x00030000, name);
      assert.equal(
        filter.run({ ...call, args: args.map((arg) => (arg === 0n ? 0n : arg - 1n)) }),
        ALLOW,
        name,
      );
    }
    const many = [0, 1, 2, 3, 4, 5].flatMap((index) =>
      rules(400).map((rule, i) => ({ ...rule, args: [{ index, op: 'SCMP_CMP_LT', value: 2 ** 34 + i }] })),
    );
    assert.throws(
      () => compileSeccomp({ ...seccomp(400), syscalls: many }, 'x86_64'),
      /linux\.seccomp: the filter has more than 4096 instructions/,
    );
  });

  test('the default profile: small, and few steps for any call', () => {
    const host = { arch: 'x64', kernelVersion: '6.1' };
    const seccomp = seccompFor({ profile: 'default', privileged: false, capabilities: [], host });
    assert.ok(seccomp);
    const filter = new BpfProgram(compileSeccomp(seccomp, 'x86_64').program);
    assert.ok(filter.length < 400, String(filter.length));
    for (const arch of [0xc000003e, 0x40000003]) {
      for (let number = 0; number < 500; number++) {
        const { steps } = filter.trace({ arch, number, args: [] });
        assert.ok(steps <= 40, `${number}: ${steps}`);
      }
    }
  });
});
