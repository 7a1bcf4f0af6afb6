import type { SpecSeccomp } from '#oci/runtime-spec.ts';
import { Assembler, BPF, type Label } from './assembler.ts';
import { type Alternative, compareAlternatives, emitAlternatives } from './conditions.ts';
import { ENOSYS, KILL_THREAD, type Profile, readProfile, type Rule } from './rules.ts';
import {
  type Abi,
  ABIS,
  type AbiName,
  type Numbers,
  type SeccompArch,
  SYSCALLS,
  X32_BIT,
  X86_MULTIPLEXED,
} from './tables.ts';

export type { SeccompArch } from './tables.ts';

/** `flags` of seccomp(2) and the filter: `struct sock_filter`, each, little-endian. */
export interface SeccompProgram {
  readonly flags: number;
  readonly program: Uint8Array;
}

/** What happens from this number on, up to the next range: an action, or alternatives to ask. */
interface Range {
  readonly from: number;
  readonly verdict: number | readonly Alternative[];
  readonly bits: 32 | 64;
}

const NUMBER_OFFSET = 0;
const ARCH_OFFSET = 4;
const U32_MAX = 0xffff_ffff;

/** An unconditional rule beats all others; of two, the first one stands. */
class Call {
  readonly conditional: Alternative[] = [];
  unconditional: number | undefined;

  add({ conditions, action }: Alternative, bits: 32 | 64): void {
    const real = conditions.filter(({ mask }) => BigInt.asUintN(bits, mask) !== 0n);
    if (real.length === 0) this.unconditional ??= action;
    else this.conditional.push({ conditions: real, action });
  }

  verdict(): number | readonly Alternative[] {
    return this.unconditional ?? this.conditional.toSorted(compareAlternatives);
  }
}

class AbiFilter {
  readonly #calls = new Map<number, Call>();
  readonly #abi: Abi;
  readonly #numbers: Numbers;
  readonly #isStrict: boolean;
  /** The greatest number that any rule names, also one that says no more than the default; 0: none. */
  #last = 0;

  constructor(abi: Abi, numbers: Numbers, profile: Profile) {
    this.#abi = abi;
    this.#numbers = numbers;
    this.#isStrict = profile.refusesUnknown && profile.architectures.has(abi.scmp);
    for (const rule of profile.rules) this.#add(rule, rule.action === profile.defaultAction);
  }

  /** Whether calls after the last one that a rule names answer ENOSYS. */
  get refusesUnknown(): boolean {
    return this.#isStrict && this.#last !== 0;
  }

  #add(rule: Rule, isDefault: boolean): void {
    const number = this.#numbers.get(rule.name);
    const carried = this.#abi.name === 'x86' ? X86_MULTIPLEXED.get(rule.name) : undefined;
    if (carried === undefined && number !== undefined) this.#last = Math.max(this.#last, number);
    if (isDefault) return;
    if (number !== undefined) this.#call(number).add(rule, this.#abi.bits);
    const carrier = carried === undefined ? undefined : this.#numbers.get(carried.by);
    if (carried === undefined || carrier === undefined) return;
    const selector = { index: 0, op: 'EQ', value: BigInt(carried.selector), mask: 0xffff_ffffn } as const;
    const others = rule.conditions.filter(({ index }) => index !== 0);
    this.#call(carrier).add({ conditions: [selector, ...others], action: rule.action }, this.#abi.bits);
  }

  #call(number: number): Call {
    const call = this.#calls.get(number) ?? new Call();
    this.#calls.set(number, call);
    return call;
  }

  /** From `base` on. All after the last call that a rule names is unknown, whatever carries it. */
  ranges(defaultAction: number): Range[] {
    const { base, bits } = this.#abi;
    const ranges: Range[] = [{ from: base, verdict: defaultAction, bits }];
    let next = 0;
    for (const [number, call] of [...this.#calls].toSorted(([a], [b]) => a - b)) {
      if (number > next) ranges.push({ from: base + next, verdict: defaultAction, bits });
      ranges.push({ from: base + number, verdict: call.verdict(), bits });
      next = number + 1;
    }
    ranges.push({ from: base + next, verdict: defaultAction, bits });
    if (this.refusesUnknown) ranges.push({ from: base + this.#last + 1, verdict: ENOSYS, bits });
    return ranges;
  }
}

/** Without those that no number reaches, and neighbours with the same verdict as one. */
function tidy(ranges: readonly Range[]): Range[] {
  const kept: Range[] = [];
  for (const range of ranges) {
    while ((kept.at(-1)?.from ?? -1) >= range.from) kept.pop();
    if (kept.at(-1)?.verdict !== range.verdict) kept.push(range);
  }
  return kept;
}

/** A binary tree over the ranges; the number is loaded. */
class Tree {
  readonly #assembler: Assembler;
  readonly #ranges: readonly Range[];
  readonly #otherwise: number;

  constructor(assembler: Assembler, ranges: readonly Range[], otherwise: number) {
    this.#assembler = assembler;
    this.#ranges = ranges;
    this.#otherwise = otherwise;
  }

  emit(first = 0, end = this.#ranges.length): Label {
    const single = end - first === 3 ? this.#single(first) : undefined;
    if (single !== undefined) return single;
    const range = this.#ranges[first];
    if (end - first <= 1 || range === undefined) return this.#leaf(first);
    const middle = (first + end) >> 1;
    const whenTrue = this.emit(middle, end);
    const whenFalse = this.emit(first, middle);
    const from = this.#ranges[middle]?.from ?? 0;
    return this.#assembler.branch(BPF.jumpGreaterEqual, from, { whenTrue, whenFalse });
  }

  /** One number between two ranges of the same verdict. */
  #single(first: number): Label | undefined {
    const [before, one, after] = this.#ranges.slice(first, first + 3);
    if (before?.verdict !== after?.verdict || one === undefined || after?.from !== one.from + 1)
      return undefined;
    const whenTrue = this.#leaf(first + 1);
    const whenFalse = this.#leaf(first);
    return this.#assembler.branch(BPF.jumpEqual, one.from, { whenTrue, whenFalse });
  }

  #leaf(at: number): Label {
    const range = this.#ranges[at];
    const verdict = range?.verdict ?? this.#otherwise;
    if (typeof verdict === 'number') return this.#assembler.return(verdict);
    return emitAlternatives(this.#assembler, verdict, {
      bits: range?.bits ?? 64,
      otherwise: this.#otherwise,
    });
  }
}

/**
 * Ranges over all numbers of an AUDIT_ARCH. x86_64 and x32 share one and are told apart by one bit alone, so
 * that each has two pieces of the numbers. Where x32 is not filtered, its calls are foreign ones, but for −1,
 * which stands for a call that a tracer has skipped.
 */
function rangesOf({ defaultAction }: Profile, filters: ReadonlyMap<AbiName, AbiFilter>): Range[] {
  const native = filters.get('x86_64');
  const x32 = filters.get('x32');
  const ranges = [...filters.values()].flatMap((filter) => filter.ranges(defaultAction));
  if (native === undefined) return tidy(ranges);
  const outside = x32 === undefined ? KILL_THREAD : defaultAction;
  if (x32 === undefined) ranges.push({ from: X32_BIT, verdict: outside, bits: 32 });
  ranges.push(
    { from: 2 * X32_BIT, verdict: native.refusesUnknown ? ENOSYS : outside, bits: 64 },
    { from: 3 * X32_BIT, verdict: x32?.refusesUnknown === true ? ENOSYS : outside, bits: 32 },
  );
  if (x32 === undefined) ranges.push({ from: U32_MAX, verdict: defaultAction, bits: 64 });
  return tidy(ranges);
}

/**
 * `linux.seccomp` as a filter that judges as runc's (with libseccomp) does; names of system calls that nobody
 * knows have no effect. Errors: `invalidArgument` with the JSON path in the text.
 */
export function compileSeccomp(
  seccomp: SpecSeccomp,
  arch: SeccompArch,
  tables: Readonly<Record<AbiName, Numbers>> = SYSCALLS,
): SeccompProgram {
  const profile = readProfile(seccomp, arch);
  const sections = new Map<number, Map<AbiName, AbiFilter>>();
  for (const [i, abi] of ABIS[arch].entries()) {
    if (i > 0 && !profile.architectures.has(abi.scmp)) continue;
    const filter = new AbiFilter(abi, tables[abi.name], profile);
    const section = sections.get(abi.audit) ?? new Map<AbiName, AbiFilter>();
    sections.set(abi.audit, section.set(abi.name, filter));
  }
  const assembler = new Assembler();
  let entry = assembler.return(KILL_THREAD);
  const entries = [...sections].map(([audit, filters]) => {
    const ranges = rangesOf(profile, filters);
    const tree = new Tree(assembler, ranges, profile.defaultAction).emit();
    return { audit, label: assembler.load(NUMBER_OFFSET, tree) };
  });
  for (const { audit, label } of entries.toReversed()) {
    entry = assembler.branch(BPF.jumpEqual, audit, { whenTrue: label, whenFalse: entry });
  }
  assembler.load(ARCH_OFFSET, entry);
  return { flags: profile.flags, program: assembler.bytes() };
}
