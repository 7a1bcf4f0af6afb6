import { UsageError } from '../flags.ts';

/**
 * The part of Go's templates that scripts use most: `{{.A.B}}`, `{{json .A}}`, `{{ .A }}`, text between, `\t`
 * and `\n`. Anything else is refused by name rather than printed wrongly.
 */
type Render = (value: unknown) => string;

function lookUp(value: unknown, path: readonly string[]): unknown {
  let at = value;
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) {
      throw new UsageError(
        `template parsing error: template: :1: <.${path.join('.')}>: map has no entry for key "${key}"`,
      );
    }
    at = (at as Record<string, unknown>)[key];
  }
  return at;
}

/** As Go prints a value of JSON with `%v`. */
export function show(value: unknown): string {
  if (value === null || value === undefined) return '<no value>';
  if (Array.isArray(value)) return `[${value.map(show).join(' ')}]`;
  if (typeof value === 'object') {
    const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return `map[${entries.map(([key, item]) => `${key}:${show(item)}`).join(' ')}]`;
  }
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** JSON as Go's encoder writes it: `<`, `>` and `&` escaped. */
export function goJson(value: unknown, indent?: number): string {
  const escape: Record<string, string> = { '<': '\\u003c', '>': '\\u003e', '&': '\\u0026' };
  return JSON.stringify(value, null, indent).replace(/[<>&]/g, (c) => escape[c] ?? c);
}

function compileAction(action: string): Render {
  const match = /^(?:(json)\s+)?\.([A-Za-z0-9_.]*)$/.exec(action.trim());
  if (match === null)
    throw new UsageError(
      `template parsing error: this command line does not know {{${action}}} yet; use json and jq`,
    );
  const path = (match[2] ?? '').split('.').filter((key) => key !== '');
  const isJson = match[1] === 'json';
  return (value) => (isJson ? goJson(lookUp(value, path)) : show(lookUp(value, path)));
}

/** Errors: `UsageError` where the template is broken, or uses what is not there. */
export function compileTemplate(text: string): Render {
  const parts: Render[] = [];
  const source = text.replaceAll('\\t', '\t').replaceAll('\\n', '\n');
  let at = 0;
  while (at < source.length) {
    const open = source.indexOf('{{', at);
    const literal = source.slice(at, open < 0 ? undefined : open);
    if (literal !== '') parts.push(() => literal);
    if (open < 0) break;
    const close = source.indexOf('}}', open);
    if (close < 0) throw new UsageError('template parsing error: template: :1: unclosed action');
    parts.push(compileAction(source.slice(open + 2, close)));
    at = close + 2;
  }
  return (value) => parts.map((part) => part(value)).join('');
}
