import { EngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import type { SpecSeccomp, SpecSeccompArg } from '#oci/runtime-spec.ts';
import { ABIS, FOREIGN, isSystemCall, type SeccompArch } from './tables.ts';

const OPERATORS = ['NE', 'LT', 'LE', 'EQ', 'GE', 'GT', 'MASKED_EQ'] as const;
export type Operator = (typeof OPERATORS)[number];

export interface Condition {
  /** Number of the argument. */
  readonly index: number;
  readonly op: Operator;
  /** What is compared, cut to the mask where there is one. */
  readonly value: bigint;
  /** All ones but for MASKED_EQ. */
  readonly mask: bigint;
}

/** All conditions hold: the action (SECCOMP_RET_* with its data). */
export interface Rule {
  readonly names: readonly string[];
  readonly action: number;
  readonly conditions: readonly Condition[];
}

export interface Profile {
  readonly defaultAction: number;
  readonly flags: number;
  /** Names of the ABIs that are asked for; the machine's own is always filtered. */
  readonly architectures: ReadonlySet<string>;
  /** Calls newer than all that have a rule answer ENOSYS, so that programs fall back to what they know. */
  readonly refusesUnknown: boolean;
  readonly rules: readonly Rule[];
}

const U64 = 0xffff_ffff_ffff_ffffn;
const ARGUMENTS = 6;
const EPERM = 1;
const MAX_ERRNO = 4095;
const MAX_DATA = 0xffff;
const ERRNO = 0x00050000;
const TRACE = 0x7ff00000;
export const KILL_THREAD = 0;
export const ENOSYS = ERRNO | 38;

const ACTIONS: Readonly<Record<string, number>> = {
  SCMP_ACT_KILL: KILL_THREAD,
  SCMP_ACT_KILL_THREAD: KILL_THREAD,
  SCMP_ACT_KILL_PROCESS: 0x80000000,
  SCMP_ACT_TRAP: 0x00030000,
  SCMP_ACT_ERRNO: ERRNO,
  SCMP_ACT_TRACE: TRACE,
  SCMP_ACT_LOG: 0x7ffc0000,
  SCMP_ACT_ALLOW: 0x7fff0000,
};
/** For these, a newer call is whoever looks after the log's or the tracer's affair. */
const PERMISSIVE: readonly string[] = ['SCMP_ACT_ALLOW', 'SCMP_ACT_LOG', 'SCMP_ACT_TRACE'];

/** SECCOMP_FILTER_FLAG_*: TSYNC says nothing for one thread, WAIT_KILLABLE_RECV without a listener. */
const SPEC_ALLOW = 4;
const FLAGS: Readonly<Record<string, number>> = {
  SECCOMP_FILTER_FLAG_TSYNC: 0,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: SPEC_ALLOW,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: 0,
};

function refuse(path: string, why: string): never {
  throw new EngineError('invalidArgument', `${path}: ${why}`);
}

function listAt(value: unknown, path: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : refuse(path, 'not a list');
}

function textAt(value: unknown, path: string): string {
  return typeof value === 'string' ? value : refuse(path, 'not a string');
}

function actionAt(action: unknown, errno: unknown, path: { action: string; errno: string }): number {
  const name = textAt(action, path.action);
  if (name === 'SCMP_ACT_NOTIFY')
    refuse(path.action, 'SCMP_ACT_NOTIFY needs a listener, which is not supported');
  const value = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
  if (value === undefined) return refuse(path.action, `unknown action ${JSON.stringify(name)}`);
  if (value !== ERRNO && value !== TRACE) return value;
  const data = errno ?? EPERM;
  const most = value === ERRNO ? MAX_ERRNO - 1 : MAX_DATA;
  if (typeof data !== 'number' || !Number.isInteger(data) || data < 0 || data > most) {
    return refuse(path.errno, `not an integer from 0 to ${most}: ${JSON.stringify(data)}`);
  }
  return value | data;
}

/** A number of 64 bits: JSON's own where it is exact, else as text that was kept. */
function wordAt(value: unknown, path: string): bigint {
  let word: bigint | undefined;
  if (value === undefined || value === null) word = 0n;
  else if (typeof value === 'bigint') word = value;
  else if (typeof value === 'number' && Number.isSafeInteger(value)) word = BigInt(value);
  else if (typeof value === 'object' && 'rawJSON' in value && /^\d{1,20}$/.test(String(value.rawJSON))) {
    word = BigInt(String(value.rawJSON));
  }
  if (word === undefined || word < 0n || word > U64) {
    const shown = typeof value === 'number' || typeof value === 'bigint' ? `: ${value}` : '';
    return refuse(path, `not an exact integer of 64 bits${shown}`);
  }
  return word;
}

function conditionAt(given: unknown, path: string): Condition {
  if (typeof given !== 'object' || given === null) return refuse(path, 'not an object');
  const arg: Partial<SpecSeccompArg> = given;
  const { index, op } = arg;
  if (typeof index !== 'number' || !Number.isInteger(index) || index < 0 || index >= ARGUMENTS) {
    return refuse(`${path}.index`, `not an integer from 0 to ${ARGUMENTS - 1}: ${JSON.stringify(index)}`);
  }
  const name = textAt(op, `${path}.op`);
  const operator = OPERATORS.find((known) => name === `SCMP_CMP_${known}`);
  if (operator === undefined) return refuse(`${path}.op`, `unknown operator ${JSON.stringify(name)}`);
  const value = wordAt(arg.value, `${path}.value`);
  const second = wordAt(arg.valueTwo, `${path}.valueTwo`);
  const isMasked = operator === 'MASKED_EQ';
  return { index, op: operator, value: isMasked ? second & value : value, mask: isMasked ? value : U64 };
}

/** Two conditions on one argument are, by tradition, two rules. */
function alternatives(conditions: readonly Condition[]): readonly (readonly Condition[])[] {
  const isRepeated = new Set(conditions.map(({ index }) => index)).size < conditions.length;
  if (isRepeated) return conditions.map((condition) => [condition]);
  return [conditions.toSorted((a, b) => a.index - b.index)];
}

function rulesAt(given: unknown, path: string): Rule[] {
  if (typeof given !== 'object' || given === null) return refuse(path, 'not an object');
  const rule: Readonly<Record<string, unknown>> = { ...given };
  const action = actionAt(rule.action, rule.errnoRet, {
    action: `${path}.action`,
    errno: `${path}.errnoRet`,
  });
  const conditions = listAt(rule.args, `${path}.args`).map((arg, i) =>
    conditionAt(arg, `${path}.args[${i}]`),
  );
  const names = listAt(rule.names, `${path}.names`);
  if (names.length === 0) return refuse(`${path}.names`, 'a rule needs the name of a system call');
  const texts = names.map((given, i) => {
    const name = textAt(given, `${path}.names[${i}]`);
    // A misspelled rule would protect nothing, and nobody would know.
    if (!isSystemCall(name)) refuse(`${path}.names[${i}]`, `unknown system call ${JSON.stringify(name)}`);
    return name;
  });
  return alternatives(conditions).map((all) => ({ names: texts, action, conditions: all }));
}

function architecturesAt(given: unknown, arch: SeccompArch): Set<string> {
  const known = [...ABIS[arch].map(({ scmp }) => scmp), ...FOREIGN];
  return new Set(
    listAt(given, 'linux.seccomp.architectures').map((entry, i) => {
      const path = `linux.seccomp.architectures[${i}]`;
      const name = textAt(entry, path);
      return known.includes(name) ? name : refuse(path, `unknown architecture ${JSON.stringify(name)}`);
    }),
  );
}

/** Where nobody says anything, the flag that costs no speed: as the reference's runtime. */
function flagsAt(given: unknown): number {
  if (given === undefined || given === null) return SPEC_ALLOW;
  return listAt(given, 'linux.seccomp.flags').reduce((flags: number, entry, i) => {
    const path = `linux.seccomp.flags[${i}]`;
    const name = textAt(entry, path);
    const flag = Object.hasOwn(FLAGS, name) ? FLAGS[name] : undefined;
    return flag === undefined ? refuse(path, `unknown flag ${JSON.stringify(name)}`) : flags | flag;
  }, 0);
}

/** Checks `linux.seccomp`. Errors: `invalidArgument`, the text begins with the JSON path. */
export function readProfile(seccomp: SpecSeccomp, arch: SeccompArch): Profile {
  if (seccomp.listenerPath) refuse('linux.seccomp.listenerPath', 'a listener is not supported');
  const defaultAction = actionAt(seccomp.defaultAction, seccomp.defaultErrnoRet, {
    action: 'linux.seccomp.defaultAction',
    errno: 'linux.seccomp.defaultErrnoRet',
  });
  const rules: Rule[] = [];
  let count = 0;
  for (const [i, entry] of listAt(seccomp.syscalls, 'linux.seccomp.syscalls').entries()) {
    const found = rulesAt(entry, `linux.seccomp.syscalls[${i}]`);
    rules.push(...found);
    count += found.reduce((sum, { names }) => sum + names.length, 0);
    if (count > LIMITS.seccompRules)
      refuse('linux.seccomp.syscalls', `more than ${LIMITS.seccompRules} rules`);
  }
  return {
    defaultAction,
    flags: flagsAt(seccomp.flags),
    architectures: architecturesAt(seccomp.architectures, arch),
    refusesUnknown: !PERMISSIVE.includes(seccomp.defaultAction),
    rules,
  };
}
