import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import type { SpecSeccomp } from '#oci/runtime-spec.ts';
import { compileSeccomp } from './compile.ts';

const RULE = { names: ['kill'], action: 'SCMP_ACT_LOG' };
const ARG = { index: 0, op: 'SCMP_CMP_EQ', value: 1 };

function withRule(rule: unknown): unknown {
  return { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [RULE, rule] };
}

function withArg(arg: unknown): unknown {
  return withRule({ ...RULE, args: [ARG, arg] });
}

/** What is wrong with it → how the refusal begins. */
const REFUSED: readonly (readonly [unknown, string])[] = [
  [{}, 'linux.seccomp.defaultAction: not a string'],
  [{ defaultAction: 'SCMP_ACT_NOTHING' }, 'linux.seccomp.defaultAction: unknown action "SCMP_ACT_NOTHING"'],
  [{ defaultAction: 'toString' }, 'linux.seccomp.defaultAction: unknown action "toString"'],
  [{ defaultAction: 'SCMP_ACT_NOTIFY' }, 'linux.seccomp.defaultAction: SCMP_ACT_NOTIFY needs a listener'],
  [
    { defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: 4095 },
    'linux.seccomp.defaultErrnoRet: not an integer',
  ],
  [{ defaultAction: 'SCMP_ACT_ALLOW', architectures: ['X'] }, 'linux.seccomp.architectures[0]: unknown arch'],
  [{ defaultAction: 'SCMP_ACT_ALLOW', flags: ['LOG', 1] }, 'linux.seccomp.flags[0]: unknown flag "LOG"'],
  [{ defaultAction: 'SCMP_ACT_ALLOW', flags: 'LOG' }, 'linux.seccomp.flags: not a list'],
  [{ defaultAction: 'SCMP_ACT_ALLOW', listenerPath: '/run/x' }, 'linux.seccomp.listenerPath: a listener'],
  [{ defaultAction: 'SCMP_ACT_ALLOW', syscalls: {} }, 'linux.seccomp.syscalls: not a list'],
  [withRule(null), 'linux.seccomp.syscalls[1]: not an object'],
  [withRule({ action: 'SCMP_ACT_LOG' }), 'linux.seccomp.syscalls[1].names: a rule needs the name'],
  [withRule({ ...RULE, names: ['kill', 3] }), 'linux.seccomp.syscalls[1].names[1]: not a string'],
  [withRule({ ...RULE, names: [''] }), 'linux.seccomp.syscalls[1].names[0]: unknown system call ""'],
  [
    withRule({ ...RULE, names: ['kill', 'sysmips', 'no_such_call'] }),
    'linux.seccomp.syscalls[1].names[2]: unknown system call "no_such_call"',
  ],
  [withRule({ ...RULE, names: ['constructor'] }), 'linux.seccomp.syscalls[1].names[0]: unknown system call'],
  [withRule({ ...RULE, action: 'LOG' }), 'linux.seccomp.syscalls[1].action: unknown action "LOG"'],
  [
    withRule({ ...RULE, action: 'SCMP_ACT_NOTIFY' }),
    'linux.seccomp.syscalls[1].action: SCMP_ACT_NOTIFY needs',
  ],
  [
    withRule({ ...RULE, action: 'SCMP_ACT_ERRNO', errnoRet: -1 }),
    'linux.seccomp.syscalls[1].errnoRet: not an',
  ],
  [
    withRule({ ...RULE, action: 'SCMP_ACT_ERRNO', errnoRet: 1.5 }),
    'linux.seccomp.syscalls[1].errnoRet: not an',
  ],
  [
    withRule({ ...RULE, action: 'SCMP_ACT_TRACE', errnoRet: 65536 }),
    'linux.seccomp.syscalls[1].errnoRet: not',
  ],
  [withRule({ ...RULE, args: 3 }), 'linux.seccomp.syscalls[1].args: not a list'],
  [withArg(null), 'linux.seccomp.syscalls[1].args[1]: not an object'],
  [withArg({ ...ARG, index: 6 }), 'linux.seccomp.syscalls[1].args[1].index: not an integer from 0 to 5: 6'],
  [
    withArg({ ...ARG, op: 'SCMP_CMP_IN' }),
    'linux.seccomp.syscalls[1].args[1].op: unknown operator "SCMP_CMP_IN"',
  ],
  [
    withArg({ ...ARG, value: -1 }),
    'linux.seccomp.syscalls[1].args[1].value: not an exact integer of 64 bits: -1',
  ],
  [withArg({ ...ARG, value: 2 ** 60 }), 'linux.seccomp.syscalls[1].args[1].value: not an exact integer'],
  [withArg({ ...ARG, value: '1' }), 'linux.seccomp.syscalls[1].args[1].value: not an exact integer'],
  [
    withArg({ ...ARG, valueTwo: 1n << 64n }),
    'linux.seccomp.syscalls[1].args[1].valueTwo: not an exact integer',
  ],
  [
    withRule({ ...RULE, names: Array.from({ length: LIMITS.seccompRules }, () => 'kill') }),
    'linux.seccomp.syscalls: more than 16384 rules',
  ],
];

describe('a wrong linux.seccomp is refused by its JSON path', () => {
  for (const [given, text] of REFUSED) {
    test(text, () => {
      assert.throws(
        () => compileSeccomp(given as SpecSeccomp, 'x86_64'),
        (error: Error & { kind?: string }) =>
          error.kind === 'invalidArgument' && error.message.startsWith(text),
      );
    });
  }
});
