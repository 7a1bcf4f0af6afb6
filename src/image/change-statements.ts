import { EngineError } from '#base/errors.ts';
import { jsonForm, nameValues, trimSpace, trimSpaceBefore, WHITE } from './change-words.ts';

/*
 * From lines to statements: comments, continued lines, the `# escape=` directive, options before arguments.
 * Mistakes that can be seen without knowing what comes of a statement are found here, before any other.
 */

export type Escape = '\\' | '`';

export interface Statement {
  /** As it was written. */
  readonly instruction: string;
  /** `--name=value`, without quotes. */
  readonly flags: readonly string[];
  /** Without white space around it. */
  readonly text: string;
  /** The whole of it, continued lines put together. */
  readonly original: string;
}

export interface Statements {
  readonly list: readonly Statement[];
  readonly escape: Escape;
}

const DIRECTIVES: ReadonlySet<string> = new Set(['escape', 'syntax', 'check']);
const CONTINUED = { '\\': /(^|[^\\])\\[ \t]*$/, '`': /(^|[^`])`[ \t]*$/ } as const;
const MAYBE_JSON: ReadonlySet<string> = new Set([
  ...['cmd', 'entrypoint', 'run', 'shell', 'add', 'copy', 'volume'],
]);

function invalid(message: string): EngineError {
  return new EngineError('invalidArgument', message);
}

/** Directives come before everything else, blank lines too. */
function directives(lines: readonly string[]): Escape {
  const seen = new Set<string>();
  let escape: Escape = '\\';
  for (const line of lines) {
    const match = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=([^]+)$/.exec(trimSpaceBefore(line));
    const name = match?.[1]?.toLowerCase() ?? '';
    if (!DIRECTIVES.has(name)) break;
    if (seen.has(name)) throw invalid(`only one ${name} parser directive can be used`);
    seen.add(name);
    if (name !== 'escape') continue;
    // White space alone is a value, too.
    const given = match?.[2] ?? '';
    const value = given.trim() || given.slice(-1);
    if (value !== '\\' && value !== '`')
      throw invalid(`invalid escape token '${value}' does not match \` or \\`);
    escape = value;
  }
  return escape;
}

/** One string for each statement, from its own lines and those that continue it. */
function joinLines(lines: readonly string[], escape: Escape): string[] {
  const continued = CONTINUED[escape];
  const joined: string[] = [];
  let open: string | null = null;
  for (const line of lines) {
    const bare = trimSpaceBefore(line);
    if (bare === '' || bare.startsWith('#')) continue;
    // Only the first line loses the white space before it.
    const own = open === null ? bare : line;
    const goesOn = continued.test(own);
    // Only this line is looked at: what was put together before may be long, and lines many.
    const whole: string = (open ?? '') + (goesOn ? own.replace(continued, '$1') : own);
    open = goesOn ? whole : null;
    if (!goesOn) joined.push(whole);
  }
  if (open !== null) joined.push(open);
  return joined;
}

/**
 * Words that begin with `--`, and what follows them. They are read byte by byte, as the reference does: what
 * is not ASCII in them does not survive.
 */
function splitFlags(text: string): { flags: string[]; rest: string } {
  const bytes = Buffer.from(text).toString('latin1');
  const flags: string[] = [];
  let at = 0;
  for (;;) {
    while (/[\t-\r \x85\xa0]/.test(bytes.charAt(at))) at++;
    if (!bytes.startsWith('--', at)) break;
    const word = flagAt(bytes, at);
    at = word.end;
    if (word.flag === '--') break;
    flags.push(word.flag);
  }
  return { flags, rest: Buffer.from(bytes.slice(at), 'latin1').toString() };
}

function flagAt(bytes: string, start: number): { flag: string; end: number } {
  let flag = '';
  let quote = '';
  let end = start;
  for (; end < bytes.length; end++) {
    const c = bytes.charAt(end);
    if (quote === '' && /[\t-\r \x85\xa0]/.test(c)) break;
    if (quote === '' ? c === '"' || c === "'" : c === quote) quote = quote === '' ? c : '';
    else if (c !== '\\') flag += c;
    else if (end + 1 < bytes.length) flag += bytes.charAt(++end);
  }
  return { flag, end };
}

function splitStatement(original: string): Statement {
  const trimmed = trimSpace(original);
  const space = trimmed.search(WHITE);
  if (space < 0) return { instruction: trimmed, flags: [], text: '', original };
  const { flags, rest } = splitFlags(trimmed.slice(space));
  return { instruction: trimmed.slice(0, space), flags, text: trimSpace(rest), original };
}

/** Errors: `invalidArgument`. */
function check(statement: Statement, escape: Escape): void {
  let { instruction, text } = statement;
  // A second ONBUILD is refused later; there is no need to look for what follows thousands of them.
  if (instruction.toLowerCase() === 'onbuild') ({ instruction, text } = splitStatement(text));
  const name = instruction.toLowerCase();
  if (name === 'env' || name === 'label') nameValues({ instruction: name.toUpperCase(), text, escape });
  else if (MAYBE_JSON.has(name)) jsonForm(text);
  else if (name === 'healthcheck') jsonForm(text.replace(/^\S+\s*/, ''));
}

/** Errors: `invalidArgument`. */
export function parseStatements(text: string): Statements {
  const lines = text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .map((line) => line.replace(/\r$/, ''));
  const escape = directives(lines);
  const list: Statement[] = [];
  for (const line of joinLines(lines, escape)) {
    const statement = splitStatement(line);
    check(statement, escape);
    list.push(statement);
  }
  if (list.length === 0) throw invalid('file with no instructions');
  return { list, escape };
}
