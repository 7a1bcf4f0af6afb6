import { type Assembler, BPF, type Label } from './assembler.ts';
import type { Condition, Operator } from './rules.ts';

interface Targets {
  readonly match: Label;
  readonly fail: Label;
}

interface Words {
  readonly value: number;
  readonly mask: number;
  readonly offset: number;
}

/** Where `args` begins in `struct seccomp_data`. */
const ARGUMENTS_OFFSET = 16;
const ALL_ONES = 0xffffffff;

function low(condition: Condition): Words {
  return {
    value: Number(condition.value & 0xffffffffn),
    mask: Number(condition.mask & 0xffffffffn),
    offset: ARGUMENTS_OFFSET + condition.index * 8,
  };
}

function high(condition: Condition): Words {
  return {
    value: Number(condition.value >> 32n),
    mask: Number(condition.mask >> 32n),
    offset: ARGUMENTS_OFFSET + condition.index * 8 + 4,
  };
}

function equal(assembler: Assembler, words: Words, { match, fail }: Targets): Label {
  if (words.mask === 0) return match;
  const test = assembler.branch(BPF.jumpEqual, words.value, { whenTrue: match, whenFalse: fail });
  const masked = words.mask === ALL_ONES ? test : assembler.and(words.mask, test);
  return assembler.load(words.offset, masked);
}

/** Whether the word is greater (or equal). */
function greater(
  assembler: Assembler,
  words: Words,
  { orEqual, match, fail }: Targets & { orEqual: boolean },
): Label {
  const code = orEqual ? BPF.jumpGreaterEqual : BPF.jumpGreater;
  const test = assembler.branch(code, words.value, { whenTrue: match, whenFalse: fail });
  return assembler.load(words.offset, test);
}

/** The operators as one of equal, greater, greater-or-equal; `negated`: with the targets exchanged. */
const SHAPES: Readonly<
  Record<Operator, { readonly isEqual: boolean; readonly orEqual: boolean; readonly negated: boolean }>
> = {
  EQ: { isEqual: true, orEqual: false, negated: false },
  MASKED_EQ: { isEqual: true, orEqual: false, negated: false },
  NE: { isEqual: true, orEqual: false, negated: true },
  GT: { isEqual: false, orEqual: false, negated: false },
  LE: { isEqual: false, orEqual: false, negated: true },
  GE: { isEqual: false, orEqual: true, negated: false },
  LT: { isEqual: false, orEqual: true, negated: true },
};

/** Code that goes to `match` or to `fail`. Of 32-bit callers only the lower words are compared. */
function emitCondition(
  assembler: Assembler,
  condition: Condition,
  { bits, ...targets }: Targets & { readonly bits: 32 | 64 },
): Label {
  const { isEqual, orEqual, negated } = SHAPES[condition.op];
  const match = negated ? targets.fail : targets.match;
  const fail = negated ? targets.match : targets.fail;
  const key = `${bits} ${condition.op} ${condition.index} ${condition.value} ${condition.mask} ${match} ${fail}`;
  return assembler.once(key, () => {
    if (isEqual) {
      const inner = equal(assembler, low(condition), { match, fail });
      return bits === 32 ? inner : equal(assembler, high(condition), { match: inner, fail });
    }
    const inner = greater(assembler, low(condition), { orEqual, match, fail });
    if (bits === 32) return inner;
    const words = high(condition);
    const test = assembler.branch(BPF.jumpEqual, words.value, { whenTrue: inner, whenFalse: fail });
    const first = assembler.branch(BPF.jumpGreater, words.value, { whenTrue: match, whenFalse: test });
    return assembler.load(words.offset, first);
  });
}

/** One alternative of a call's rules: its conditions and what follows when they hold. */
export interface Alternative {
  readonly conditions: readonly Condition[];
  readonly action: number;
}

/** The alternatives in their order; `otherwise` is the action when none holds. */
export function emitAlternatives(
  assembler: Assembler,
  alternatives: readonly Alternative[],
  { bits, otherwise }: { readonly bits: 32 | 64; readonly otherwise: number },
): Label {
  let next = assembler.return(otherwise);
  for (const { conditions, action } of alternatives.toReversed()) {
    let match = assembler.return(action);
    for (const condition of conditions.toReversed()) {
      match = emitCondition(assembler, condition, { bits, match, fail: next });
    }
    next = match;
  }
  return next;
}

/** Which comparison of one argument is looked at first: equality, then the upper, then the lower bounds. */
const RANKS: Readonly<Record<Operator, number>> = { EQ: 0, NE: 0, MASKED_EQ: 0, LE: 1, LT: 1, GE: 2, GT: 2 };

function compareConditions(a: Condition, b: Condition): number {
  if (a.index !== b.index) return b.index - a.index;
  const rank = RANKS[a.op] - RANKS[b.op];
  if (rank !== 0) return rank;
  if (a.value === b.value) return 0;
  const isGreater = a.value > b.value;
  return RANKS[a.op] === 1 ? (isGreater ? 1 : -1) : isGreater ? -1 : 1;
}

/**
 * The order in which rules with different actions, which may hold at the same time, are asked: that of
 * libseccomp, on which profiles rely.
 */
export function compareAlternatives(a: Alternative, b: Alternative): number {
  for (const [i, condition] of a.conditions.entries()) {
    const other = b.conditions[i];
    if (other === undefined) return 1;
    const order = compareConditions(condition, other);
    if (order !== 0) return order;
  }
  return a.conditions.length - b.conditions.length;
}
