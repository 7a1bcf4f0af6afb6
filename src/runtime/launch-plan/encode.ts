import { EngineError } from '#base/errors.ts';
import {
  type FieldKind,
  type LaunchPlan,
  LISTS,
  MAX_IGNORED,
  MAX_LIST_TEXTS,
  MAX_OPERATIONS,
  MAX_PLAN_BYTES,
  MAX_SLOTS,
  NO_SLOT,
  type Operation,
  OPERATIONS,
} from './operations.ts';

export const PLAN_MAGIC = 0x31504c47;
export const PLAN_VERSION = 1;
export const HEADER_BYTES = 32;
export const HEAD_BYTES = 16;

const FIRST_CAPACITY = 16 * 1024;
const ALIGNMENT = 8;
const MAX_ERRNO = 4095;

interface Shape {
  readonly code: number;
  readonly fields: readonly (readonly [name: string, kind: FieldKind])[];
}

const SHAPES: ReadonlyMap<string, Shape> = new Map(
  Object.entries(OPERATIONS).map(([name, { code, fields }]) => [
    name,
    { code, fields: Object.entries(fields) },
  ]),
);

/** A buffer that grows, and what the whole plan has used up so far. */
class Writer {
  #buffer = Buffer.alloc(FIRST_CAPACITY);
  #size = 0;
  #texts = 0;
  /** Member of the spec that is being written: what crosses a bound is its fault. */
  #member = 'the launch plan';

  from(member: string): void {
    this.#member = member;
  }

  get size(): number {
    return this.#size;
  }

  /** Room for `length` bytes, aligned and zeroed at the end; where it begins. */
  #take(length: number): number {
    const start = this.#size;
    const end = start + Math.ceil(length / ALIGNMENT) * ALIGNMENT;
    if (end > MAX_PLAN_BYTES) this.#tooMuch(`is larger than ${MAX_PLAN_BYTES} bytes`);
    if (end > this.#buffer.length) {
      const larger = Buffer.alloc(Math.max(end, this.#buffer.length * 2));
      this.#buffer.copy(larger);
      this.#buffer = larger;
    }
    this.#size = end;
    return start;
  }

  #tooMuch(what: string): never {
    throw new EngineError('invalidArgument', `${this.#member}: with it the launch plan ${what}`);
  }

  /** Zeros, to be filled in by `patch`. */
  reserve(bytes: number): number {
    return this.#take(bytes);
  }

  u16(at: number, value: number): void {
    this.#buffer.writeUInt16LE(value, at);
  }

  u32(at: number, value: number): void {
    this.#buffer.writeUInt32LE(value, at);
  }

  number(value: number | bigint): void {
    const at = this.#take(8);
    if (typeof value === 'number' && value >= 0) {
      this.#buffer.writeUInt32LE(value % 2 ** 32, at);
      this.#buffer.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4);
    } else this.#buffer.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), at);
  }

  text(value: string): void {
    const length = Buffer.byteLength(value);
    const at = this.#take(4 + length + 1);
    this.#buffer.writeUInt32LE(length, at);
    this.#buffer.write(value, at + 4);
  }

  bytes(value: Uint8Array): void {
    const at = this.#take(8 + value.length);
    this.#buffer.writeUInt32LE(value.length, at);
    this.#buffer.set(value, at + 8);
  }

  list(values: readonly string[]): void {
    this.#texts += values.length;
    if (this.#texts > MAX_LIST_TEXTS) this.#tooMuch(`has more than ${MAX_LIST_TEXTS} texts`);
    const at = this.#take(8);
    for (const value of values) this.text(value);
    this.u32(at, values.length);
    this.u32(at + 4, this.#size - at - 8);
  }

  finish(): Buffer {
    return this.#buffer.subarray(0, this.#size);
  }
}

/** The one operation that comes from two members. */
const memberOf = ({ op, from }: Operation, field = ''): string =>
  op === 'execute' && from !== undefined && field === 'environment' ? 'process.env' : (from ?? op);

function fail(operation: Operation, what: string): never {
  throw new EngineError('invalidArgument', `${memberOf(operation)}: ${what}`);
}

function checkedText(operation: Operation, name: string, value: unknown): string {
  if (typeof value !== 'string') fail(operation, `${operation.op} needs ${name} as text`);
  if (value.includes('\0')) {
    throw new EngineError('invalidArgument', `${memberOf(operation, name)}: a NUL character in a text`);
  }
  return value;
}

function checkedNumber(operation: Operation, name: string, value: unknown): number | bigint {
  if (typeof value === 'bigint') {
    if (value < -(2n ** 63n) || value >= 2n ** 64n) fail(operation, `${name} does not fit 64 bits`);
    return value;
  }
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
    fail(operation, `${operation.op} needs ${name} as a whole number`);
  }
  return value;
}

function checkedSlot(operation: Operation, name: string, value: unknown): number {
  const isSlot = typeof value === 'number' && Number.isInteger(value) && value >= 0;
  if (!isSlot || (value >= MAX_SLOTS && value !== NO_SLOT)) fail(operation, `${name} is no slot`);
  return value;
}

function encodeField(
  writer: Writer,
  operation: Operation,
  { name, kind, value }: { name: string; kind: FieldKind; value: unknown },
): void {
  writer.from(memberOf(operation, name));
  switch (kind) {
    case 'number':
      return writer.number(checkedNumber(operation, name, value));
    case 'slot':
    case 'newSlot':
      return writer.number(checkedSlot(operation, name, value));
    case 'text':
      return writer.text(checkedText(operation, name, value));
    case 'bytes':
      if (!(value instanceof Uint8Array)) fail(operation, `${operation.op} needs ${name} as bytes`);
      return writer.bytes(value);
    case 'list':
      if (!Array.isArray(value)) fail(operation, `${operation.op} needs ${name} as a list`);
      return writer.list(value.map((entry: unknown) => checkedText(operation, name, entry)));
  }
}

function encodeOperation(writer: Writer, operation: Operation): void {
  const shape = SHAPES.get(operation.op);
  if (shape === undefined) return fail(operation, 'no such operation');
  const ignored = operation.ignore ?? [];
  if (ignored.length > MAX_IGNORED) fail(operation, `more than ${MAX_IGNORED} errnos to ignore`);
  writer.from(memberOf(operation));
  const at = writer.reserve(HEAD_BYTES);
  writer.u16(at, shape.code);
  writer.u16(at + 2, shape.fields.length);
  for (const [i, errno] of ignored.entries()) {
    if (!(errno > 0 && errno <= MAX_ERRNO)) fail(operation, `${errno} is no errno`);
    writer.u16(at + 8 + 2 * i, errno);
  }
  const values: Readonly<Record<string, unknown>> = operation;
  for (const [name, kind] of shape.fields)
    encodeField(writer, operation, { name, kind, value: values[name] });
  writer.u32(at + 4, writer.size - at);
}

/**
 * The first operation too many: of a plan's many, the last one that a member of the spec has asked for up to
 * there is to blame, not what every plan has.
 */
function firstExcess({ before, parent, child }: LaunchPlan): Operation | undefined {
  if (before.length + parent.length + child.length <= MAX_OPERATIONS) return undefined;
  const upTo = [...before, ...parent, ...child].slice(0, MAX_OPERATIONS + 1);
  return upTo.findLast(({ from }) => from !== undefined) ?? upTo.at(-1);
}

/**
 * The plan as the one message that the launcher reads. Errors: `invalidArgument`, beginning with the spec's
 * member the operation comes from, when something does not fit its form or its limits.
 */
export function encodeLaunchPlan(plan: LaunchPlan): Buffer {
  const excess = firstExcess(plan);
  if (excess !== undefined) {
    fail(excess, `with it the launch plan has more than ${MAX_OPERATIONS} operations`);
  }
  const writer = new Writer();
  writer.reserve(HEADER_BYTES);
  for (const list of LISTS) for (const operation of plan[list]) encodeOperation(writer, operation);
  const header = [PLAN_MAGIC, writer.size, PLAN_VERSION, ...LISTS.map((list) => plan[list].length)];
  for (const [i, value] of header.entries()) writer.u32(4 * i, value);
  return writer.finish();
}
