import type { SpecSeccomp } from '#oci/runtime-spec.ts';
import { Assembler, BPF, type Label } from './assembler.ts';
import { type Alternative, compareAlternatives, emitAlternatives } from './conditions.ts';
import { ENOSYS, KILL_THREAD, type Profile, readProfile } from './rules.ts';
import {
  type Abi,
  ABIS,
  type AbiName,
  type Multiplexed,
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

/** The calls of one ABI. An unconditional rule beats all others; of two, the first one stands. */
class AbiFilter {
  /** An action, or what to ask for one. */
  readonly #calls = new Map<number, number | Alternative[]>();
  readonly #abi: Abi;
  readonly #isStrict: boolean;
  /** The greatest number that any rule names, also one that says no more than the default; 0: none. */
  #last = 0;

  constructor(abi: Abi, numbers: Numbers, profile: Profile) {
    this.#abi = abi;
    this.#isStrict = profile.refusesUnknown && profile.architectures.has(abi.scmp);
    for (const rule of profile.rules) {
      const isDefault = rule.action === profile.defaultAction;
      const conditions = rule.conditions.filter(({ mask }) => BigInt.asUintN(abi.bits, mask) !== 0n);
      const alternative = { conditions, action: rule.action };
      for (const name of rule.names) {
        const carried = abi.name === 'x86' ? X86_MULTIPLEXED.get(name) : undefined;
        const number = numbers.get(name);
        if (carried === undefined && number !== undefined && number > this.#last) this.#last = number;
        if (isDefault) continue;
        if (number !== undefined) this.#add(number, alternative);
        if (carried !== undefined) this.#add(numbers.get(carried.by) ?? 0, selected(carried, alternative));
      }
    }
  }

  /** Whether calls after the last one that a rule names answer ENOSYS. */
  get refusesUnknown(): boolean {
    return this.#isStrict && this.#last !== 0;
  }

  #add(number: number, alternative: Alternative): void {
    const found = this.#calls.get(number);
    if (typeof found === 'number') return;
    if (alternative.conditions.length === 0) this.#calls.set(number, alternative.action);
    else if (found === undefined) this.#calls.set(number, [alternative]);
    else found.push(alternative);
  }

  /** From `base` on. All after the last call that a rule names is unknown, whatever carries it. */
  ranges(defaultAction: number): Range[] {
    const { base, bits } = this.#abi;
    const ranges: Range[] = [{ from: base, verdict: defaultAction, bits }];
    let verdict: Range['verdict'] = defaultAction;
    const begin = (number: number, next: Range['verdict']): void => {
      if (next !== verdict) ranges.push({ from: base + number, verdict: next, bits });
      verdict = next;
    };
    let next = 0;
    for (const number of Uint32Array.from(this.#calls.keys()).sort()) {
      if (number > next) begin(next, defaultAction);
      const found = this.#calls.get(number) ?? defaultAction;
      begin(number, typeof found === 'number' ? found : found.toSorted(compareAlternatives));
      next = number + 1;
    }
    begin(next, defaultAction);
    if (this.refusesUnknown) ranges.push({ from: base + this.#last + 1, verdict: ENOSYS, bits });
    return ranges;
  }
}

/** The rule for the call that carries another one: the first argument says which. */
function selected({ selector }: Multiplexed, { conditions, action }: Alternative): Alternative {
  const first = { index: 0, op: 'EQ', value: BigInt(selector), mask: 0xffff_ffffn } as const;
  return { conditions: [first, ...conditions.filter(({ index }) => index !== 0)], action };
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
 * `linux.seccomp` as a filter that judges as runc's (with libseccomp) does. Names of calls that only other
 * architectures have are without effect; one that no architecture has is refused. Errors: `invalidArgument`
 * with the JSON path in the text.
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
