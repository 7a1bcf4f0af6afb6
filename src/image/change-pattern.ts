import { EngineError } from '#base/errors.ts';
import type { ChangeBudget } from './change-budget.ts';

/*
 * Patterns of `${NAME#pattern}` and its kin: `*` is any text, `?` any character, no lists in brackets.
 * No match takes longer than the pattern's length times the text's, wherever it begins; the budget has that.
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

const NONE = -1;

/**
 * For every place of the text, and its end: where a match that begins there ends, the longest or the
 * shortest. From the end of the text to its beginning, each place needs only what is known about the next.
 */
function matchEnds(
  text: readonly string[],
  tokens: readonly Token[],
  as: { readonly longest: boolean; readonly budget: ChangeBudget },
): Int32Array {
  as.budget.addPatternSteps((text.length + 1) * (tokens.length + 1));
  const ends = new Int32Array(text.length + 1);
  let here = new Int32Array(tokens.length + 1);
  let next = new Int32Array(tokens.length + 1).fill(NONE);
  for (let at = text.length; at >= 0; at--) {
    const c = text[at];
    here[tokens.length] = at;
    for (let position = tokens.length - 1; position >= 0; position--) {
      const token = tokens[position];
      if (token === ANY_TEXT) {
        const [none, some] = [here[position + 1] ?? NONE, next[position] ?? NONE];
        const isSome = none === NONE || (some !== NONE && (as.longest ? some > none : some < none));
        here[position] = isSome ? some : none;
      } else {
        here[position] = token === c || token === ANY_CHARACTER ? (next[position + 1] ?? NONE) : NONE;
      }
    }
    ends[at] = here[0] ?? NONE;
    [here, next] = [next, here];
  }
  return ends;
}

/** `#` from the beginning, `%` from the end; said twice, the longest match instead of the shortest. */
export function removeMatch(
  value: string,
  of: { readonly how: '#' | '%'; readonly pattern: string; readonly budget: ChangeBudget },
): string {
  const longest = of.pattern.startsWith(of.how);
  const tokens = parsePattern(longest ? of.pattern.slice(1) : of.pattern);
  const text = [...value];
  if (of.how === '%') {
    text.reverse();
    tokens.reverse();
  }
  const [end = NONE] = matchEnds(text, tokens, { longest, budget: of.budget });
  const rest = text.slice(Math.max(0, end));
  if (of.how === '%') rest.reverse();
  return rest.join('');
}

/** The longest match at each place; of all of them, or of the first. */
export function replaceMatch(
  value: string,
  of: {
    readonly pattern: string;
    readonly replacement: string;
    readonly all: boolean;
    readonly budget: ChangeBudget;
  },
): string {
  const tokens = parsePattern(of.pattern);
  const text = [...value];
  const ends = matchEnds(text, tokens, { longest: true, budget: of.budget });
  const addedBytes = Buffer.byteLength(of.replacement);
  let result = '';
  let copied = 0;
  for (let start = 0; start <= text.length; start++) {
    const end = ends[start] ?? NONE;
    // No match of nothing right behind another.
    if (end === NONE || (end === start && start === copied && start > 0)) continue;
    of.budget.addExpanded(addedBytes);
    result += text.slice(copied, start).join('') + of.replacement;
    copied = end;
    if (!of.all) break;
    start = Math.max(start, end - 1);
  }
  return result + text.slice(copied).join('');
}
