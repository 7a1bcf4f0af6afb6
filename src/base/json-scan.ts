/*
 * Finds the first mistake in a JSON text and says it in the words of the reference's parser, which users and
 * scripts know. The value itself is read by JSON.parse; this scanner only knows where a value ends and what
 * is wrong where.
 */

export interface JsonScan {
  /** Null: the first value of the text is well-formed. */
  readonly error: string | null;
  /** Offset of the mistake, or of what follows the first value. */
  readonly end: number;
}

class Mistake extends Error {
  readonly at: number;

  constructor(at: number, message: string) {
    super(message);
    this.at = at;
  }
}

const SPACE = new Set([' ', '\t', '\n', '\r']);
const LITERALS = ['true', 'false', 'null'] as const;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
/** Each level is two calls deep on the stack; what is nested deeper is refused elsewhere as well. */
const DEEPEST = 1000;

const ESCAPED: ReadonlyMap<string, string> = new Map([
  ["'", "\\'"],
  ['\x07', '\\a'],
  ['\b', '\\b'],
  ['\f', '\\f'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
  ['\v', '\\v'],
  ['\ufeff', '\\ufeff'],
]);

function shown(char: string): string {
  const escaped = ESCAPED.get(char);
  if (escaped !== undefined) return `'${escaped}'`;
  return char < ' ' ? `'\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}'` : `'${char}'`;
}

class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get at(): number {
    return this.#at;
  }

  #fail(where: string): never {
    const char = this.#text[this.#at];
    if (char === undefined) throw new Mistake(this.#at, 'unexpected EOF');
    throw new Mistake(this.#at, `invalid character ${shown(char)} ${where}`);
  }

  #space(): void {
    while (SPACE.has(this.#text[this.#at] ?? '')) this.#at++;
  }

  value(depth = 0): void {
    this.#space();
    if (depth > DEEPEST) throw new Mistake(this.#at, 'exceeded max depth');
    const char = this.#text[this.#at];
    if (char === '{') return this.#object(depth);
    if (char === '[') return this.#array(depth);
    if (char === '"') return this.#string();
    for (const literal of LITERALS) if (char === literal[0]) return this.#literal(literal);
    return this.#number();
  }

  #literal(literal: string): void {
    for (let i = 0; i < literal.length; i++) {
      if (this.#text[this.#at] !== literal[i])
        this.#fail(`in literal ${literal} (expecting ${shown(literal[i] ?? '')})`);
      this.#at++;
    }
  }

  #number(): void {
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.#text);
    if (match === null) {
      const negative = this.#text[this.#at] === '-';
      if (negative) this.#at++;
      this.#fail(negative ? 'in numeric literal' : 'looking for beginning of value');
    }
    this.#at += match[0].length;
  }

  #string(): void {
    for (this.#at++; this.#text[this.#at] !== '"'; this.#at++) {
      const char = this.#text[this.#at];
      if (char === undefined || char < ' ') this.#fail('in string');
      if (char !== '\\') continue;
      this.#at++;
      const escape = this.#text[this.#at] ?? '';
      if (escape === 'u') this.#hex();
      else if (escape === '') this.#fail('in string');
      else if (!'bfnrt\\/"'.includes(escape)) this.#badEscape(2);
    }
    this.#at++;
  }

  #hex(): void {
    const digits = this.#text.slice(this.#at + 1, this.#at + 5);
    if (!/^[0-9a-fA-F]*$/.test(digits)) this.#badEscape(6);
    this.#at += digits.length;
    if (digits.length < 4) throw new Mistake(this.#at, 'unexpected EOF');
  }

  /** At the character behind the backslash. */
  #badEscape(length: number): never {
    const sequence = this.#text.slice(this.#at - 1, this.#at - 1 + length);
    throw new Mistake(this.#at, `invalid escape sequence \`${sequence}\` in string`);
  }

  #array(depth: number): void {
    this.#at++;
    this.#space();
    if (this.#text[this.#at] === ']') return void this.#at++;
    for (;;) {
      this.value(depth + 1);
      this.#space();
      const char = this.#text[this.#at];
      if (char !== ',' && char !== ']') this.#fail('after array element');
      this.#at++;
      if (char === ']') return;
    }
  }

  #object(depth: number): void {
    this.#at++;
    this.#space();
    if (this.#text[this.#at] === '}') return void this.#at++;
    for (;;) {
      this.#space();
      if (this.#text[this.#at] !== '"') this.#fail('looking for beginning of object key string');
      this.#string();
      this.#space();
      if (this.#text[this.#at] !== ':') this.#fail('after object key');
      this.#at++;
      this.value(depth + 1);
      this.#space();
      const char = this.#text[this.#at];
      if (char !== ',' && char !== '}') this.#fail('after object key:value pair');
      this.#at++;
      if (char === '}') return;
    }
  }
}

export function scanJson(text: string): JsonScan {
  const scanner = new Scanner(text);
  try {
    scanner.value();
    return { error: null, end: scanner.at };
  } catch (error) {
    if (error instanceof Mistake) return { error: error.message, end: error.at };
    throw error;
  }
}

/** Of one value and nothing else; null: it is well-formed. */
export function jsonMistake(text: string): string | null {
  const { error, end } = scanJson(text);
  if (error !== null) return error.endsWith('EOF') ? 'unexpected end of JSON input' : error;
  const after = /[^ \t\n\r]/.exec(text.slice(end))?.[0];
  return after === undefined ? null : `invalid character ${shown(after)} after top-level value`;
}

/** Of the first value of a stream: what ends before it is complete ends unexpectedly. */
export function firstJson(text: string): JsonScan {
  const scan = scanJson(text);
  return scan.error === null || /[^ \t\n\r]/.test(text) ? scan : { ...scan, error: 'EOF' };
}

/** Line and column, both from 1. */
export function positionOf(text: string, offset: number): { readonly line: number; readonly column: number } {
  const before = text.slice(0, offset).split('\n');
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}
