import { EngineError } from '#base/errors.ts';
import { isJsonObject, parseJson, type JsonObject, type JsonValue } from '#base/json.ts';
import { firstJson, jsonMistake } from '#base/json-scan.ts';
import { LIMITS } from '#base/limits.ts';
import { shapeProblem, type RootShape } from './go-shape.ts';

/** A text that is no JSON, or of values that are not of the wanted types, in the reference's words. */
export class JsonMistake extends EngineError {
  constructor(message: string, cause?: unknown) {
    super('invalidArgument', message, cause === undefined ? {} : { cause });
    this.name = 'JsonMistake';
  }
}

export interface JsonReading {
  /** For what is too large to be looked through for its mistake. */
  readonly what: string;
  /** What follows the first value is not looked at. */
  readonly isStream?: boolean;
}

/** A byte order mark is a mistake like any other character that begins no value. */
function decode(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
}

/** Errors: `JsonMistake`; `invalidArgument` for what nests too deep, or is broken and large. */
export function readJson(bytes: Uint8Array, { what, isStream = false }: JsonReading): JsonValue {
  const text = decode(bytes);
  try {
    return parseJson(text, what);
  } catch (error) {
    // Whoever sends one so large gets to know less.
    if (bytes.length > LIMITS.smallDocumentBytes) throw error;
    if (!isStream) throw new JsonMistake(jsonMistake(text) ?? 'invalid JSON', error);
    const first = firstJson(text);
    if (first.error !== null) throw new JsonMistake(first.error, error);
    return parseJson(text.slice(0, first.end), what);
  }
}

/** As `readJson`; a null document is one without members. Errors: `JsonMistake` for wrong types as well. */
export function readShaped(
  bytes: Uint8Array,
  reading: JsonReading & { readonly shape: RootShape },
): JsonValue {
  const value = readJson(bytes, reading);
  const problem = shapeProblem(value, reading.shape);
  if (problem !== null) throw new JsonMistake(problem);
  return value;
}

/** A document that is an object or null, which says as much as an empty one. */
export function memberValues(value: JsonValue): JsonObject {
  return isJsonObject(value) ? value : {};
}
