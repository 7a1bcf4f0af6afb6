const UNITS: ReadonlyMap<string, number> = new Map([
  ['', 0],
  ['b', 0],
  ['k', 1],
  ['m', 2],
  ['g', 3],
  ['t', 4],
  ['p', 5],
]);

/** `128M`, `64MiB`, `1.5g`, `1024`: bytes, binary units; null when it is no size. */
export function parseBytes(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?$/i.exec(text.trim()) ?? /^(\d+)(b)$/i.exec(text.trim());
  if (match === null) return null;
  return Math.floor(Number(match[1]) * 1024 ** (UNITS.get((match[2] ?? '').toLowerCase()) ?? 0));
}

/** As Go prints values: `[a b]`, `map[k:v]`. */
export function goFormat(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(goFormat).join(' ')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return `map[${entries.map(([key, one]) => `${key}:${goFormat(one)}`).join(' ')}]`;
  }
  if (value === null || value === undefined) return '<nil>';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
