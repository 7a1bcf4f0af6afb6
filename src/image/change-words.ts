/** A JSON list of strings, or null when the text is none (then it is a line for the shell). */
export function jsonForm(text: string): string[] | null {
  if (!text.startsWith('[')) return null;
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : null;
  } catch {
    return null;
  }
}

/** Splits at white space; quotes group, a backslash takes the next character as it is. */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let word = '';
  let inWord = false;
  let quote = '';
  for (let i = 0; i < text.length; i++) {
    const c = text.charAt(i);
    if (quote === '' && /\s/.test(c)) {
      if (inWord) words.push(word);
      word = '';
      inWord = false;
      continue;
    }
    inWord = true;
    if (c === '\\' && quote !== "'" && i + 1 < text.length) word += text.charAt(++i);
    else if (quote === '' && (c === '"' || c === "'")) quote = c;
    else if (c === quote) quote = '';
    else word += c;
  }
  if (inWord) words.push(word);
  return words;
}

/**
 * `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME:+set}` from `KEY=value` entries; `\$` stays a dollar sign.
 */
export function expandVariables(text: string, env: readonly string[]): string {
  const lookup = (name: string): string =>
    env.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1) ?? '';
  const pattern =
    /\\\$|'[^']*'|\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(?::([-+])([^}]*))?\})/g;
  return text.replace(pattern, (all: string, ...groups: (string | undefined)[]) => {
    const [plain, braced, how, other = ''] = groups;
    if (all.startsWith('\\') || all.startsWith("'")) return all;
    const value = lookup(plain ?? braced ?? '');
    if (how === '-') return value === '' ? other : value;
    if (how === '+') return value === '' ? '' : other;
    return value;
  });
}
