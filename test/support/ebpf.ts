/** The few eBPF instructions that a program for a devices cgroup has, for tests. */

const INSTRUCTION_BYTES = 8;

export interface DeviceAccess {
  readonly type: 'b' | 'c';
  readonly major: number;
  readonly minor: number;
  /** BPF_DEVCG_ACC_*: 1 mknod, 2 read, 4 write. */
  readonly access: number;
}

interface Instruction {
  readonly code: number;
  readonly to: number;
  readonly from: number;
  readonly offset: number;
  readonly constant: number;
}

export class DeviceProgram {
  readonly #instructions: Instruction[] = [];

  constructor(bytes: Uint8Array) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at < bytes.length; at += INSTRUCTION_BYTES) {
      const registers = view.getUint8(at + 1);
      this.#instructions.push({
        code: view.getUint8(at),
        to: registers & 0x0f,
        from: registers >> 4,
        offset: view.getInt16(at + 2, true),
        constant: view.getInt32(at + 4, true),
      });
    }
  }

  get length(): number {
    return this.#instructions.length;
  }

  allows({ type, major, minor, access }: DeviceAccess): boolean {
    const context = new Uint32Array([(access << 16) | (type === 'b' ? 1 : 2), major, minor]);
    const registers = new Uint32Array(11);
    for (let at = 0; ; at++) {
      const instruction = this.#instructions[at];
      if (instruction === undefined) throw new Error('ran out of the program');
      const { code, to, from, offset, constant } = instruction;
      const value = registers[to] ?? 0;
      const isEqual = value === constant >>> 0;
      if (code === 0x95) return registers[0] === 1;
      if (code === 0x61) registers[to] = context[offset / 4] ?? 0;
      else if (code === 0x54) registers[to] = value & constant;
      else if (code === 0x74) registers[to] = value >>> constant;
      else if (code === 0xbc) registers[to] = registers[from] ?? 0;
      else if (code === 0xb4) registers[to] = constant;
      else if (code === 0x16) at += isEqual ? offset : 0;
      else if (code === 0x56) at += isEqual ? 0 : offset;
      else throw new Error(`instruction ${code.toString(16)} at ${at}`);
    }
  }
}
