import type { JsonValue } from '#base/json.ts';
import type { Chance } from './rounds.ts';

/** Names that an object's prototype lends, and others that code takes for something. */
const HOSTILE_KEYS = [
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'valueOf',
  '',
  '\u0000',
  'length',
];
const HOSTILE_TEXTS = [
  '',
  '\u0000',
  '../../etc/passwd',
  '/',
  '\u202e',
  '\ud800',
  'a'.repeat(5000),
  '-1',
  '1e999',
  'true',
];
const HOSTILE_NUMBERS = [
  0,
  -0,
  -1,
  1.5,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  2 ** 63,
  2 ** 64,
  -(2 ** 63),
  1e308,
  5e-324,
];

/** A value of any kind; deep ones are seldom. */
export function anyJson(chance: Chance, depth = 0): JsonValue {
  const kind = chance.below(depth > 4 ? 4 : 7);
  if (kind === 0) return null;
  if (kind === 1) return chance.flip();
  if (kind === 2) return chance.pick(HOSTILE_NUMBERS);
  if (kind === 3) return chance.pick(HOSTILE_TEXTS);
  if (kind === 4) return Array.from({ length: chance.below(4) }, () => anyJson(chance, depth + 1));
  const keys = Array.from({ length: chance.below(4) }, () => chance.pick(HOSTILE_KEYS));
  return Object.fromEntries(keys.map((key) => [key, anyJson(chance, depth + 1)]));
}

/** The same document with some values replaced, keys added or taken away. */
export function changedJson(value: JsonValue, chance: Chance, share = 0.08): JsonValue {
  if (chance.flip(share)) return anyJson(chance);
  if (Array.isArray(value)) {
    const items = value.filter(() => !chance.flip(share / 2)).map((item) => changedJson(item, chance, share));
    return chance.flip(share) ? [...items, anyJson(chance)] : items;
  }
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value)
    .filter(() => !chance.flip(share / 2))
    .map(([key, one]): [string, JsonValue] => [
      chance.flip(share / 4) ? chance.pick(HOSTILE_KEYS) : key,
      changedJson(one, chance, share),
    ]);
  if (chance.flip(share)) entries.push([chance.pick(HOSTILE_KEYS), anyJson(chance)]);
  return Object.fromEntries(entries);
}

/** A JSON text of a changed document; `__proto__` is written as a key, which object literals cannot. */
export function changedText(document: JsonValue, chance: Chance): string {
  const text = JSON.stringify(changedJson(document, chance));
  if (!chance.flip(0.1)) return text;
  const deep = chance.pick([10, 64, 65, 5000, 200_000]);
  const [open, close] = chance.pick([
    ['[', ']'],
    ['{"a":', '}'],
  ] as const);
  return text.replace(/null|true|"[^"]*"(?=[,}\]])/, () => open.repeat(deep) + '1' + close.repeat(deep));
}
