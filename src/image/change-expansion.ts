import { EngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { quote } from '#api/messages.ts';
import type { ChangeBudget } from './change-budget.ts';
import { removeMatch, replaceMatch } from './change-pattern.ts';
import { isSpace } from './change-words.ts';

/*
 * Quotes and variables as in a shell: `$NAME`, `${NAME}` and its forms with `-`, `+`, `?`, `#`, `%` and `/`.
 */

/** What the text became as one word, and split at white space that no quotes kept together. */
export interface Expanded {
  readonly word: string;
  readonly words: readonly string[];
}

export interface ExpansionScope {
  /** By names. */
  readonly env: { readonly get: (name: string) => string | undefined };
  readonly escape: string;
  readonly budget: ChangeBudget;
}

const END = '';

function bad(message: string): EngineError {
  return new EngineError('invalidArgument', message);
}

class Words {
  readonly list: string[] = [];
  #word = '';

  /** White space in it separates. */
  addPlain(text: string): void {
    for (const c of text) {
      if (isSpace(c)) this.end();
      else this.#word += c;
    }
  }

  addQuoted(text: string): void {
    this.#word += text;
  }

  end(): readonly string[] {
    if (this.#word !== '') this.list.push(this.#word);
    this.#word = '';
    return this.list;
  }
}

class Expansion {
  readonly #chars: readonly string[];
  readonly #env: ExpansionScope['env'];
  readonly #escape: string;
  readonly #budget: ChangeBudget;
  #at = 0;
  #depth = 0;

  constructor(text: string, { env, escape, budget }: ExpansionScope) {
    this.#chars = [...text];
    this.#env = env;
    this.#escape = escape;
    this.#budget = budget;
  }

  /** Up to `stop`, which is consumed. `raw` leaves what escapes in place: patterns know it themselves. */
  until(stop: string, raw = false): Expanded {
    let word = '';
    const words = new Words();
    for (let c = this.#peek(); c !== END; c = this.#peek()) {
      if (c === stop) {
        this.#at++;
        return { word, words: words.end() };
      }
      const special = this.#special(c, raw);
      if (special !== null) {
        word += special;
        if (c === '$') words.addPlain(special);
        else words.addQuoted(special);
        continue;
      }
      this.#at++;
      if (c !== this.#escape) {
        word += c;
        words.addPlain(c);
        continue;
      }
      const escaped = (raw ? c : '') + this.#next();
      word += escaped;
      words.addQuoted(escaped);
    }
    if (stop !== END) throw bad(`unexpected end of statement while looking for matching ${stop}`);
    return { word, words: words.end() };
  }

  #special(c: string, raw: boolean): string | null {
    if (c === '$') return this.#dollar();
    if (c === "'") return this.#singleQuoted();
    return c === '"' ? this.#doubleQuoted(raw) : null;
  }

  #peek(): string {
    return this.#chars[this.#at] ?? END;
  }

  #next(): string {
    return this.#chars[this.#at++] ?? END;
  }

  #singleQuoted(): string {
    const end = this.#chars.indexOf("'", this.#at + 1);
    if (end < 0) throw bad('unexpected end of statement while looking for matching single-quote');
    const text = this.#chars.slice(this.#at + 1, end).join('');
    this.#at = end + 1;
    return text;
  }

  #doubleQuoted(raw: boolean): string {
    let text = '';
    this.#at++;
    for (;;) {
      const c = this.#peek();
      if (c === END) throw bad('unexpected end of statement while looking for matching double-quote');
      if (c === '$') {
        text += this.#dollar();
        continue;
      }
      this.#at++;
      if (c === '"') return text;
      if (c !== this.#escape) text += c;
      else text += (raw ? c : '') + this.#escapedInQuotes(c);
    }
  }

  /** Inside of double quotes it escapes few things, and is itself before all others. */
  #escapedInQuotes(escape: string): string {
    const c = this.#peek();
    if (c === END) return '';
    return c === '"' || c === '$' || c === escape ? this.#next() : escape;
  }

  #name(): string {
    const first = this.#peek();
    if (/^[@*#?$!-]$/.test(first)) return this.#next();
    const allowed = /^\p{Nd}$/u.test(first) ? /^\p{Nd}$/u : /^[\p{L}\p{Nd}_]$/u;
    let name = '';
    while (allowed.test(this.#peek())) name += this.#next();
    return name;
  }

  /** Counted at every depth: each of them has its own copy, and looks at all of it. */
  #dollar(): string {
    const most = LIMITS.changeDepth;
    if (++this.#depth > most) throw bad(`substitutions are nested deeper than ${most}`);
    const text = this.#substituted();
    this.#depth--;
    this.#budget.addExpanded(Buffer.byteLength(text));
    return text;
  }

  #substituted(): string {
    this.#at++;
    if (this.#peek() !== '{') {
      const name = this.#name();
      return name === '' ? '$' : (this.#env.get(name) ?? '');
    }
    this.#at++;
    const first = this.#peek();
    if (first === END) throw bad("syntax error: missing '}'");
    if (first === '{' || first === '}' || first === ':') throw bad('syntax error: bad substitution');
    const name = this.#name();
    const c = this.#next();
    if (c === '}') return this.#env.get(name) ?? '';
    if (c === '/') return this.#replaced(name);
    if (c === ':') return this.#modified(name, { how: this.#next(), emptyIsUnset: true });
    if (!/^[-+?#%]$/.test(c)) throw bad(`unsupported modifier (${c || '\uFFFD'}) in substitution`);
    return this.#modified(name, { how: c, emptyIsUnset: false });
  }

  /** The end of the text inside of `${` is what is reported, whatever else is missing. */
  #part(stop: string, as: { readonly raw: boolean; readonly missing: string }): string {
    try {
      return this.until(stop, as.raw).word;
    } catch (error) {
      if (this.#peek() === END) throw bad(`syntax error: missing ${as.missing}`);
      throw error;
    }
  }

  #modified(name: string, modifier: { readonly how: string; readonly emptyIsUnset: boolean }): string {
    const { how, emptyIsUnset } = modifier;
    const word = this.#part('}', { raw: how === '#' || how === '%', missing: "'}'" });
    const value = this.#env.get(name);
    const isUnset = value === undefined || (emptyIsUnset && value === '');
    switch (how) {
      case '-':
        return isUnset ? word : value;
      case '+':
        return isUnset ? '' : word;
      case '?': {
        const otherwise = `is not allowed to be ${value === undefined ? 'unset' : 'empty'}`;
        if (isUnset) throw bad(`${name}: ${word || otherwise}`);
        return value;
      }
      case '#':
      case '%':
        return removeMatch(value ?? '', { how, pattern: word, budget: this.#budget });
      default:
        throw bad(`unsupported modifier (${emptyIsUnset ? ':' : ''}${how || '\uFFFD'}) in substitution`);
    }
  }

  #replaced(name: string): string {
    const all = this.#peek() === '/';
    if (all) this.#at++;
    const pattern = this.#part('/', { raw: true, missing: "'/' in ${}" });
    const replacement = this.#part('}', { raw: true, missing: "'}'" });
    return replaceMatch(this.#env.get(name) ?? '', { pattern, replacement, all, budget: this.#budget });
  }
}

/** Errors: `invalidArgument`. */
export function expand(text: string, scope: ExpansionScope): Expanded {
  try {
    return new Expansion(text, scope).until(END);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    throw bad(`failed to process ${quote(text)}: ${error.message}`);
  }
}
