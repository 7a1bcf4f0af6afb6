/**
 * Go's `path.Match`: `*` and `?` stop at slashes, `[a-z]` and `[^a]` are sets. An invalid pattern matches
 * nothing.
 */
export function globMatches(pattern: string, text: string): boolean {
  const expression = toExpression(pattern);
  return expression?.test(text) === true;
}

function toExpression(pattern: string): RegExp | null {
  let source = '';
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern.charAt(i);
    if (c === '*') {
      // Runs of stars mean one: a chain of `[^/]*` would take exponential time.
      if (!source.endsWith('[^/]*')) source += '[^/]*';
    } else if (c === '?') source += '[^/]';
    else if (c === '[') {
      const end = pattern.indexOf(']', i + 2);
      if (end < 0) return null;
      source += `[${pattern.slice(i + 1, end).replace(/[\\[\]]/g, '\\$&')}]`;
      i = end;
    } else if (c === '\\' && i + 1 < pattern.length) source += escapeCharacter(pattern.charAt(++i));
    else source += escapeCharacter(c);
  }
  try {
    return new RegExp(`^${source}$`, 's');
  } catch {
    return null;
  }
}

function escapeCharacter(c: string): string {
  return /[A-Za-z0-9_/-]/.test(c) ? c : `\\${c}`;
}
