import { LIMITS } from '#base/limits.ts';

/** One demand of a `WWW-Authenticate` header (RFC 9110, section 11.6.1). */
export interface Challenge {
  /** In lower case: `bearer`, `basic`. */
  readonly scheme: string;
  /** Names in lower case. */
  readonly parameters: ReadonlyMap<string, string>;
}

const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y;
const SPACE = /[ \t]*/y;
const COMMAS = /[ \t,]*/y;

class Cursor {
  readonly text: string;
  at = 0;

  constructor(text: string) {
    this.text = text;
  }

  take(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0] ?? '';
    this.at += found.length;
    return found;
  }

  quoted(): string | null {
    let value = '';
    for (let i = this.at + 1; i < this.text.length; i++) {
      const c = this.text.charAt(i);
      if (c === '"') {
        this.at = i + 1;
        return value;
      }
      value += c === '\\' ? this.text.charAt(++i) : c;
    }
    return null;
  }
}

/** `name=value`, or undefined (and the cursor where it was) when something else stands there. */
function parameter(cursor: Cursor): [string, string] | undefined {
  const start = cursor.at;
  const name = cursor.take(TOKEN).toLowerCase();
  cursor.take(SPACE);
  if (name !== '' && cursor.text.charAt(cursor.at) === '=') {
    cursor.at++;
    cursor.take(SPACE);
    const value = cursor.text.charAt(cursor.at) === '"' ? cursor.quoted() : cursor.take(TOKEN);
    if (value !== null) return [name, value];
  }
  cursor.at = start;
  return undefined;
}

function parseHeader(text: string): Challenge[] {
  const cursor = new Cursor(text);
  const found: Challenge[] = [];
  for (;;) {
    cursor.take(COMMAS);
    const scheme = cursor.take(TOKEN).toLowerCase();
    if (scheme === '') return found;
    const parameters = new Map<string, string>();
    for (;;) {
      cursor.take(COMMAS);
      const next = parameter(cursor);
      if (next === undefined) break;
      if (!parameters.has(next[0])) parameters.set(next[0], next[1]);
    }
    found.push({ scheme, parameters });
  }
}

/** All demands of all headers; what cannot be read ends the header it stands in. */
export function parseChallenges(headers: readonly string[]): readonly Challenge[] {
  return headers.flatMap((text) => (text.length > LIMITS.registryHeaderBytes ? [] : parseHeader(text)));
}
