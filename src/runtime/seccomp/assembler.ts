import { EngineError } from '#base/errors.ts';

/** The classic BPF that the kernel also runs ahead of time, for its table of calls that are all allowed. */
export const BPF = {
  load: 0x20,
  jumpAlways: 0x05,
  jumpEqual: 0x15,
  jumpGreater: 0x25,
  jumpGreaterEqual: 0x35,
  and: 0x54,
  return: 0x06,
} as const;

const MAX_INSTRUCTIONS = 4096;
const MAX_CONDITIONAL_JUMP = 255;
const INSTRUCTION_BYTES = 8;

interface Instruction {
  readonly code: number;
  readonly constant: number;
  /** What is executed next; `undefined`: the instruction after this one. */
  readonly whenTrue?: Label | undefined;
  readonly whenFalse?: Label | undefined;
}

/** Position of an instruction, counted from the program's end. */
export type Label = number;

/**
 * Builds a filter from its end to its beginning: since all jumps go forwards, every target is known by then,
 * and what is the same is emitted once.
 */
export class Assembler {
  /** Last instruction first. */
  readonly #instructions: Instruction[] = [];
  readonly #known = new Map<string, Label>();
  /** The nearest return of each value. */
  readonly #returns = new Map<number, Label>();

  #push(instruction: Instruction): Label {
    if (this.#instructions.length === MAX_INSTRUCTIONS) {
      throw new EngineError(
        'invalidArgument',
        `linux.seccomp: the filter has more than ${MAX_INSTRUCTIONS} instructions`,
      );
    }
    return this.#instructions.push(instruction) - 1;
  }

  /** The label of something emitted before under this key, or of what `emit` makes. */
  once(key: string, emit: () => Label): Label {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const label = emit();
    this.#known.set(key, label);
    return label;
  }

  return(value: number): Label {
    const known = this.#returns.get(value);
    return known ?? this.#newReturn({ code: BPF.return, constant: value });
  }

  /** Loads a word of `struct seccomp_data` and goes on at `next`. */
  load(offset: number, next: Label): Label {
    this.#fallTo(next);
    return this.#push({ code: BPF.load, constant: offset });
  }

  and(mask: number, next: Label): Label {
    this.#fallTo(next);
    return this.#push({ code: BPF.and, constant: mask });
  }

  branch(code: number, constant: number, targets: { whenTrue: Label; whenFalse: Label }): Label {
    if (targets.whenTrue === targets.whenFalse) return targets.whenTrue;
    let { whenTrue, whenFalse } = targets;
    while (!this.#isNear(whenTrue) || !this.#isNear(whenFalse)) {
      whenTrue = this.#isNear(whenTrue) ? whenTrue : this.#closer(whenTrue);
      whenFalse = this.#isNear(whenFalse) ? whenFalse : this.#closer(whenFalse);
    }
    return this.#push({ code, constant, whenTrue, whenFalse });
  }

  #isNear(label: Label): boolean {
    return this.#instructions.length - label - 1 <= MAX_CONDITIONAL_JUMP;
  }

  /** A return is repeated, everything else is jumped to. */
  #closer(label: Label): Label {
    const target = this.#instructions[label];
    if (target?.code !== BPF.return)
      return this.#push({ code: BPF.jumpAlways, constant: 0, whenTrue: label });
    return this.#newReturn(target);
  }

  #newReturn(instruction: Instruction): Label {
    const label = this.#push(instruction);
    this.#returns.set(instruction.constant, label);
    return label;
  }

  #fallTo(next: Label): void {
    if (next === this.#instructions.length - 1) return;
    const target = this.#instructions[next];
    if (target?.code === BPF.return) this.#push(target);
    else this.#push({ code: BPF.jumpAlways, constant: 0, whenTrue: next });
  }

  /** The program that begins with what was emitted last. */
  bytes(): Uint8Array {
    const count = this.#instructions.length;
    const bytes = new Uint8Array(count * INSTRUCTION_BYTES);
    const view = new DataView(bytes.buffer);
    for (const [label, instruction] of this.#instructions.entries()) {
      const at = (count - 1 - label) * INSTRUCTION_BYTES;
      const distance = (to: Label | undefined): number => (to === undefined ? 0 : label - to - 1);
      const isJump = instruction.code === BPF.jumpAlways;
      view.setUint16(at, instruction.code, true);
      view.setUint8(at + 2, isJump ? 0 : distance(instruction.whenTrue));
      view.setUint8(at + 3, isJump ? 0 : distance(instruction.whenFalse));
      view.setUint32(at + 4, isJump ? distance(instruction.whenTrue) : instruction.constant, true);
    }
    return bytes;
  }
}
