/** Classic BPF as seccomp runs it: what the kernel does with a filter, for tests. */

const INSTRUCTION_BYTES = 8;
const MAX_INSTRUCTIONS = 4096;

export interface SeccompCall {
  readonly arch: number;
  readonly number: number;
  readonly args: readonly bigint[];
}

/** `struct seccomp_data`, little-endian, as words. */
function words(call: SeccompCall): Uint32Array {
  const data = new Uint32Array(16);
  data[0] = call.number;
  data[1] = call.arch;
  for (const [i, arg] of call.args.entries()) {
    data[4 + 2 * i] = Number(arg & 0xffff_ffffn);
    data[5 + 2 * i] = Number((arg >> 32n) & 0xffff_ffffn);
  }
  return data;
}

interface Instruction {
  readonly code: number;
  readonly whenTrue: number;
  readonly whenFalse: number;
  readonly constant: number;
}

function jumps(code: number, a: number, k: number): boolean | undefined {
  switch (code) {
    case 0x15:
      return a === k;
    case 0x25:
      return a > k;
    case 0x35:
      return a >= k;
    case 0x45:
      return (a & k) !== 0;
    default:
      return undefined;
  }
}

/** A decoded filter. The constructor refuses what the kernel's checker refuses. */
export class BpfProgram {
  readonly #instructions: Instruction[] = [];

  constructor(bytes: Uint8Array) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const count = bytes.length / INSTRUCTION_BYTES;
    if (!Number.isInteger(count) || count < 1 || count > MAX_INSTRUCTIONS) throw new Error('bad length');
    for (let i = 0; i < count; i++) {
      const at = i * INSTRUCTION_BYTES;
      const code = view.getUint16(at, true);
      const constant = view.getUint32(at + 4, true);
      const whenTrue = code === 0x05 ? constant : view.getUint8(at + 2);
      const whenFalse = code === 0x05 ? constant : view.getUint8(at + 3);
      const isJump = (code & 0x07) === 0x05;
      if (isJump && i + 1 + Math.max(whenTrue, whenFalse) >= count) throw new Error(`jump out at ${i}`);
      if (code === 0x20 && (constant % 4 !== 0 || constant >= 64)) throw new Error(`bad load at ${i}`);
      this.#instructions.push({ code, whenTrue, whenFalse, constant });
    }
    if (this.#instructions.at(-1)?.code !== 0x06) throw new Error('does not end in a return');
  }

  get length(): number {
    return this.#instructions.length;
  }

  /** SECCOMP_RET_* with its data. */
  run(call: SeccompCall): number {
    return this.trace(call).verdict;
  }

  trace(call: SeccompCall): { verdict: number; steps: number } {
    const data = words(call);
    let accumulator = 0;
    let steps = 0;
    for (let at = 0; ; at++) {
      const instruction = this.#instructions[at];
      if (instruction === undefined) throw new Error('ran out of the program');
      steps++;
      const { code, constant } = instruction;
      const isTaken = jumps(code, accumulator, constant);
      if (isTaken !== undefined) at += isTaken ? instruction.whenTrue : instruction.whenFalse;
      else if (code === 0x06) return { verdict: constant, steps };
      else if (code === 0x20) accumulator = data[constant / 4] ?? 0;
      else if (code === 0x54) accumulator = (accumulator & constant) >>> 0;
      else if (code === 0x05) at += constant;
      else throw new Error(`instruction ${code.toString(16)} at ${at}`);
    }
  }
}
