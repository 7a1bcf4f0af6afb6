import type { Chance } from './rounds.ts';

/** Bytes that parsers take for something. */
const MEANINGFUL = [
  0, 1, 0x0a, 0x20, 0x22, 0x2e, 0x2f, 0x30, 0x37, 0x3a, 0x5b, 0x5c, 0x7b, 0x7f, 0x80, 0xfe, 0xff,
];
const NUMBERS = [0, 1, 0x7f, 0xff, 0x100, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0xffffffff];

function changeByte(bytes: Buffer, chance: Chance): Buffer {
  const changed = Buffer.from(bytes);
  const at = chance.below(bytes.length);
  changed[at] = chance.flip() ? chance.pick(MEANINGFUL) : (changed[at] ?? 0) ^ (1 << chance.below(8));
  return changed;
}

function changeNumber(bytes: Buffer, chance: Chance): Buffer {
  if (bytes.length < 4) return changeByte(bytes, chance);
  const changed = Buffer.from(bytes);
  const at = chance.below(bytes.length - 3);
  const value = chance.pick(NUMBERS);
  if (chance.flip()) changed.writeUInt32LE(value, at);
  else changed.writeUInt32BE(value, at);
  return changed;
}

function cut(bytes: Buffer, chance: Chance): Buffer {
  return bytes.subarray(0, chance.below(bytes.length));
}

function remove(bytes: Buffer, chance: Chance): Buffer {
  const at = chance.below(bytes.length);
  const length = chance.flip() ? 1 + chance.below(8) : chance.below(bytes.length - at);
  return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
}

function repeat(bytes: Buffer, chance: Chance): Buffer {
  const at = chance.below(bytes.length);
  const part = bytes.subarray(at, at + 1 + chance.below(1024));
  return Buffer.concat([bytes.subarray(0, at), part, part, bytes.subarray(at)]);
}

function insert(bytes: Buffer, chance: Chance): Buffer {
  const at = chance.below(bytes.length + 1);
  return Buffer.concat([bytes.subarray(0, at), chance.bytes(1 + chance.below(16)), bytes.subarray(at)]);
}

const CHANGES = [changeByte, changeByte, changeByte, changeNumber, cut, remove, repeat, insert];

/** The same bytes with one to eight changes; never needs more than a few times their size. */
export function mutate(bytes: Buffer, chance: Chance): Buffer {
  let changed = bytes;
  const count = 1 + chance.below(chance.flip(0.8) ? 2 : 8);
  for (let i = 0; i < count && changed.length > 0; i++) changed = chance.pick(CHANGES)(changed, chance);
  return changed;
}
