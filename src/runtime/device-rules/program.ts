import { ALL_ACCESS, ANY, type DeviceException, type DeviceState, TYPES } from './state.ts';

/** The opcodes that are used: all arithmetic and comparisons are of 32 bits. */
export const EBPF = {
  load32: 0x61,
  and: 0x54,
  shiftRight: 0x74,
  moveRegister: 0xbc,
  moveConstant: 0xb4,
  jumpEqual: 0x16,
  jumpNotEqual: 0x56,
  exit: 0x95,
} as const;

const INSTRUCTION_BYTES = 8;
/** `struct bpf_cgroup_dev_ctx` is what register 1 points at in the beginning. */
const OFFSET = { accessAndType: 0, major: 4, minor: 8 } as const;
const REGISTER = { result: 0, context: 1, type: 2, access: 3, major: 4, minor: 5 } as const;
/** The context is not needed any more. */
const SCRATCH = REGISTER.context;

interface Instruction {
  readonly code: number;
  readonly to: number;
  readonly from?: number;
  readonly offset?: number;
  readonly constant?: number;
  /** A jump to the next exception. */
  readonly isToNext?: boolean;
}

const PROLOGUE: readonly Instruction[] = [
  { code: EBPF.load32, to: REGISTER.type, from: REGISTER.context, offset: OFFSET.accessAndType },
  { code: EBPF.and, to: REGISTER.type, constant: 0xffff },
  { code: EBPF.load32, to: REGISTER.access, from: REGISTER.context, offset: OFFSET.accessAndType },
  { code: EBPF.shiftRight, to: REGISTER.access, constant: 16 },
  { code: EBPF.load32, to: REGISTER.major, from: REGISTER.context, offset: OFFSET.major },
  { code: EBPF.load32, to: REGISTER.minor, from: REGISTER.context, offset: OFFSET.minor },
];

function verdict(isAllowed: boolean): Instruction[] {
  return [
    { code: EBPF.moveConstant, to: REGISTER.result, constant: isAllowed ? 1 : 0 },
    { code: EBPF.exit, to: 0 },
  ];
}

/** Permission needs one exception for all that is wanted; a prohibition of a part is enough. */
function accessTest(access: number, allowsByDefault: boolean): Instruction[] {
  const copy = { code: EBPF.moveRegister, to: SCRATCH, from: REGISTER.access };
  if (allowsByDefault) {
    return [
      copy,
      { code: EBPF.and, to: SCRATCH, constant: access },
      { code: EBPF.jumpEqual, to: SCRATCH, constant: 0, isToNext: true },
    ];
  }
  if (access === ALL_ACCESS) return [];
  return [
    copy,
    { code: EBPF.and, to: SCRATCH, constant: ~access },
    { code: EBPF.jumpNotEqual, to: SCRATCH, constant: 0, isToNext: true },
  ];
}

function numberTest(register: number, wanted: number): Instruction[] {
  if (wanted === ANY) return [];
  return [{ code: EBPF.jumpNotEqual, to: register, constant: wanted, isToNext: true }];
}

function block(exception: DeviceException, allowsByDefault: boolean): Instruction[] {
  const body = [
    ...numberTest(REGISTER.type, TYPES[exception.type]),
    ...accessTest(exception.access, allowsByDefault),
    ...numberTest(REGISTER.major, exception.major),
    ...numberTest(REGISTER.minor, exception.minor),
    ...verdict(!allowsByDefault),
  ];
  return body.map((instruction, i) =>
    instruction.isToNext === true ? { ...instruction, offset: body.length - i - 1 } : instruction,
  );
}

function encode(instructions: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(instructions.length * INSTRUCTION_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [i, { code, to, from = 0, offset = 0, constant = 0 }] of instructions.entries()) {
    const at = i * INSTRUCTION_BYTES;
    view.setUint8(at, code);
    view.setUint8(at + 1, (from << 4) | to);
    view.setInt16(at + 2, offset, true);
    view.setInt32(at + 4, constant, true);
  }
  return bytes;
}

/** The state as an eBPF program of type CGROUP_DEVICE: 1 allows, 0 refuses. */
export function encodeState({ allowsByDefault, exceptions }: DeviceState): Uint8Array {
  return encode([
    ...PROLOGUE,
    ...exceptions.flatMap((exception) => block(exception, allowsByDefault)),
    ...verdict(allowsByDefault),
  ]);
}
