import { EngineError } from '#base/errors.ts';

/*
 * Patterns of `${NAME#pattern}` and its kin: `*` is any text, `?` any character, no lists in brackets.
 * Matched without going back, so that no pattern takes longer than its length times the text's.
 */

const ANY_TEXT = Symbol('*');
const ANY_CHARACTER = Symbol('?');
type Token = string | typeof ANY_TEXT | typeof ANY_CHARACTER;

function parsePattern(pattern: string): Token[] {
  const tokens: Token[] = [];
  const chars = [...pattern];
  for (let i = 0; i < chars.length; i++) {
    const c = chars[i] ?? '';
    if (c === '*') tokens.push(ANY_TEXT);
    else if (c === '?') tokens.push(ANY_CHARACTER);
    else if (c !== '\\') tokens.push(c);
    else {
      const escaped = chars[++i] ?? '\uFFFD';
      if (!/^[*?\\}/]$/.test(escaped))
        throw new EngineError(
          'invalidArgument',
          `invalid pattern (${pattern}) in substitution: invalid escape '\\${escaped}'`,
        );
      tokens.push(escaped);
    }
  }
  return tokens;
}

/** Positions in the pattern, and those that may stand for no text after them. */
function withEmpty(tokens: readonly Token[], positions: Iterable<number>): Set<number> {
  const all = new Set<number>();
  for (const position of positions) {
    let at = position;
    all.add(at);
    while (tokens[at] === ANY_TEXT) all.add(++at);
  }
  return all;
}

/** Nothing here, or nothing from here to the text's end. */
const NONE = -1;
const NEVER = -2;

/** Where a match that begins at `start` ends. */
function matchEnd(
  text: readonly string[],
  tokens: readonly Token[],
  as: { readonly start: number; readonly longest: boolean },
): number {
  let positions = withEmpty(tokens, [0]);
  let end = NONE;
  for (let at = as.start; positions.size > 0; at++) {
    if (positions.has(tokens.length)) {
      end = at;
      if (!as.longest) return end;
    }
    const c = text[at];
    // What misses its end here would miss it from any later place too.
    if (c === undefined) return end === NONE ? NEVER : end;
    const next: number[] = [];
    for (const position of positions) {
      const token = tokens[position];
      if (token === ANY_TEXT) next.push(position);
      else if (token === c || token === ANY_CHARACTER) next.push(position + 1);
    }
    positions = withEmpty(tokens, next);
  }
  return end;
}

/** `#` from the beginning, `%` from the end; said twice, the longest match instead of the shortest. */
export function removeMatch(
  value: string,
  of: { readonly how: '#' | '%'; readonly pattern: string },
): string {
  const longest = of.pattern.startsWith(of.how);
  const tokens = parsePattern(longest ? of.pattern.slice(1) : of.pattern);
  const text = [...value];
  if (of.how === '%') {
    text.reverse();
    tokens.reverse();
  }
  const rest = text.slice(Math.max(0, matchEnd(text, tokens, { start: 0, longest })));
  if (of.how === '%') rest.reverse();
  return rest.join('');
}

/** The longest match at each place; of all of them, or of the first. */
export function replaceMatch(
  value: string,
  of: { readonly pattern: string; readonly replacement: string; readonly all: boolean },
): string {
  const tokens = parsePattern(of.pattern);
  const text = [...value];
  let result = '';
  let copied = 0;
  for (let start = 0; start <= text.length; start++) {
    const end = matchEnd(text, tokens, { start, longest: true });
    if (end === NEVER) break;
    // No match of nothing right behind another.
    if (end === NONE || (end === start && start === copied && start > 0)) continue;
    result += text.slice(copied, start).join('') + of.replacement;
    copied = end;
    if (!of.all) break;
    start = Math.max(start, end - 1);
  }
  return result + text.slice(copied).join('');
}
