import { EngineError } from '#base/errors.ts';
import { quote } from '#api/messages.ts';

/** White space between arguments. */
export const WHITE = /[\t\v\f\r ]+/;
const SPACE = '[\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]';
const SPACES_BEFORE = new RegExp(`^${SPACE}+`);
const ONE_SPACE = new RegExp(`^${SPACE}$`);

/** White space around things: more characters count than between arguments. */
export function isSpace(c: string): boolean {
  // Most characters are none, and expansion asks about each of many.
  return (c <= ' ' || c > '~') && ONE_SPACE.test(c);
}

export function trimSpaceBefore(text: string): string {
  return text.replace(SPACES_BEFORE, '');
}

/** No expression for those at the end: it would begin anew at each of many that are in the middle. */
export function trimSpace(text: string): string {
  let end = text.length;
  while (end > 0 && isSpace(text.charAt(end - 1))) end--;
  return trimSpaceBefore(text.slice(0, end));
}

/**
 * A JSON list of strings, or null when the text is no JSON list (then it is a line for the shell). Errors:
 * `invalidArgument` for a list of something else.
 */
export function jsonForm(text: string): string[] | null {
  if (!text.startsWith('[')) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!Array.isArray(value)) return null;
  if (value.every((item) => typeof item === 'string')) return value;
  throw new EngineError(
    'invalidArgument',
    'when using JSON array syntax, arrays must be comprised of strings only',
  );
}

/** Splits at white space outside of quotes. Quotes and what escapes stay: `expand` takes them away. */
export function quotedWords(text: string, escape: string): string[] {
  const words: string[] = [];
  let word = '';
  let open = '';
  for (let i = 0; i < text.length; i++) {
    const c = text.charAt(i);
    if (open === '' && isSpace(c)) {
      if (word !== '') words.push(word);
      word = '';
      continue;
    }
    if (c === escape && open !== "'") {
      // At the very end it escapes nothing.
      if (i + 1 < text.length) word += c + text.charAt(++i);
      continue;
    }
    if (open === '' && (c === '"' || c === "'")) open = c;
    else if (c === open) open = '';
    word += c;
  }
  if (word !== '') words.push(word);
  return words;
}

/**
 * `k=v k2="v 2"`, or the old form `k the rest`; still with quotes and variables. Errors: `invalidArgument`.
 */
export function nameValues(of: {
  readonly instruction: string;
  readonly text: string;
  readonly escape: string;
}): [name: string, value: string][] {
  const { instruction, text, escape } = of;
  const words = quotedWords(text, escape);
  const [first] = words;
  if (first === undefined) return [];
  const bad = (message: string): EngineError => new EngineError('invalidArgument', message);
  if (!first.includes('=')) {
    const space = WHITE.exec(text);
    if (space === null) throw bad(`${instruction} must have two arguments`);
    return [[text.slice(0, space.index), text.slice(space.index + space[0].length)]];
  }
  return words.map((word) => {
    const at = word.indexOf('=');
    if (at < 0) throw bad(`Syntax error - can't find = in ${quote(word)}. Must be of the form: name=value`);
    return [word.slice(0, at), word.slice(at + 1)];
  });
}
