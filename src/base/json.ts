import { EngineError } from './errors.ts';
import { LIMITS } from './limits.ts';

export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };
export type JsonObject = { [key: string]: JsonValue };

/** Depth of the deepest bracket of a JSON text, strings skipped; stops counting at `limit`. */
function depthOf(text: string, limit: number): number {
  let depth = 0;
  let deepest = 0;
  const isPlain = !text.includes('\\');
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x22) {
      if (isPlain) i = (text.indexOf('"', i + 1) + 1 || text.length + 1) - 1;
      else
        for (i++; i < text.length && text.charCodeAt(i) !== 0x22; i++) if (text.charCodeAt(i) === 0x5c) i++;
    } else if (c === 0x7b || c === 0x5b) {
      if (++depth > deepest) deepest = depth;
      if (deepest > limit) return deepest;
    } else if (c === 0x7d || c === 0x5d) depth--;
  }
  return deepest;
}

/**
 * Parses JSON from outside: nesting is bounded before anything recursive runs. `__proto__` stays an own
 * property, as `JSON.parse` makes it; code that copies such objects uses `Object.entries` and maps, never
 * assignment by key.
 */
export function parseJson(text: string, what: string): JsonValue {
  if (depthOf(text, LIMITS.jsonDepth) > LIMITS.jsonDepth) {
    throw new EngineError('invalidArgument', `${what}: JSON nested deeper than ${LIMITS.jsonDepth} levels`);
  }
  try {
    return JSON.parse(text) as JsonValue;
  } catch (error) {
    throw new EngineError(
      'invalidArgument',
      `${what}: ${error instanceof Error ? error.message : 'invalid JSON'}`,
      { cause: error },
    );
  }
}

/** What the language has had since 2025, and its library's types not yet. */
interface JsonWithSource {
  parse(
    text: string,
    revive: (key: string, value: unknown, context: { source?: string }) => unknown,
  ): JsonValue;
  rawJSON(text: string): unknown;
}

/**
 * As `parseJson`, but an integer that a number cannot hold exactly is kept as it was written: an object with
 * the member `rawJSON`, which `JSON.stringify` writes as the same integer again.
 */
export function parseJsonExactly(text: string, what: string): JsonValue {
  const value = parseJson(text, what);
  if (!/\d{16}/.test(text)) return value;
  const json = JSON as unknown as JsonWithSource;
  return json.parse(text, (_key, given, { source }) => {
    const isInexact = typeof given === 'number' && !Number.isSafeInteger(given);
    return isInexact && source !== undefined && /^-?\d+$/.test(source) ? json.rawJSON(source) : given;
  });
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
