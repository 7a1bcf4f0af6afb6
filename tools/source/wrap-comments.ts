import { parseSync } from 'oxc-parser';
import type { SourceFile } from './files.ts';

const LIMIT = 110;
/** A line that starts a thought of its own: a list, a tag, a table, an example. */
const OWN_LINE = /^(\s{2,}|[-*@|#]|\d+[.)]\s|$)/;

interface Range {
  readonly start: number;
  readonly end: number;
}

interface Edit extends Range {
  readonly text: string;
}

/**
 * Breaks lines that are too long at a space; what is left over goes to the front of the next line, if that
 * continues it.
 */
function flow(lines: readonly string[], width: number): string[] {
  const done: string[] = [];
  const waiting = [...lines];
  for (let line = waiting.shift(); line !== undefined; line = waiting.shift()) {
    const space = line.length > width ? line.lastIndexOf(' ', width) : -1;
    const kept = line.slice(0, space);
    if (space <= 0 || kept.trim() === '') {
      done.push(line);
      continue;
    }
    done.push(kept);
    const rest = line.slice(space + 1);
    const next = waiting[0];
    if (next === undefined || OWN_LINE.test(next)) waiting.unshift(rest);
    else waiting[0] = `${rest} ${next}`;
  }
  return done;
}

function isTooLong(text: string, range: Range): boolean {
  const from = text.lastIndexOf('\n', range.start - 1) + 1;
  const to = text.indexOf('\n', range.end);
  return text
    .slice(from, to === -1 ? undefined : to)
    .split('\n')
    .some((line) => line.length > LIMIT);
}

function indentAt(text: string, start: number): { indent: string; isAlone: boolean } {
  const before = text.slice(text.lastIndexOf('\n', start - 1) + 1, start);
  return { indent: /^\s*/.exec(before)?.[0] ?? '', isAlone: before.trim() === '' };
}

function wrapBlock(text: string, range: Range): Edit | undefined {
  const { indent, isAlone } = indentAt(text, range.start);
  const source = text.slice(range.start, range.end);
  const opening = source.startsWith('/**') ? '/**' : '/*';
  const lines = source
    .slice(opening.length, -2)
    .split('\n')
    .map((line, index) => (index === 0 ? line.trim() : line.replace(/^\s*\*? ?/, '')).trimEnd());
  while (lines[0] === '') lines.shift();
  while (lines.at(-1) === '') lines.pop();
  if (!isAlone) return moveUp(text, range, lines);
  const body = flow(lines, LIMIT - indent.length - 3).map((line) => `${indent} * ${line}`.trimEnd());
  return { ...range, text: [opening, ...body, `${indent} */`].join('\n') };
}

/** A comment behind code moves to lines of its own above. */
function moveUp(text: string, range: Range, lines: readonly string[]): Edit | undefined {
  const start = text.lastIndexOf('\n', range.start - 1) + 1;
  const code = text.slice(start, range.start).trimEnd();
  const newline = text.indexOf('\n', range.end);
  const end = newline === -1 ? text.length : newline;
  if (text.slice(range.end, end).trim() !== '' || lines.length !== 1) return undefined;
  const { indent } = indentAt(text, range.start);
  const isLine = text.startsWith('//', range.start);
  const width = LIMIT - indent.length - 3;
  const wrapped = flow(lines, width);
  const above = isLine
    ? wrapped.map((line) => `${indent}// ${line}`)
    : wrapped.length === 1 && (wrapped[0]?.length ?? 0) <= width - 4
      ? [`${indent}/* ${wrapped[0]} */`]
      : [`${indent}/*`, ...wrapped.map((line) => `${indent} * ${line}`), `${indent} */`];
  return { start, end, text: [...above, code].join('\n') };
}

/** Neighbouring `//` lines are one text. */
function wrapLines(text: string, ranges: readonly Range[]): Edit | undefined {
  const first = ranges[0];
  const last = ranges.at(-1);
  if (first === undefined || last === undefined) return undefined;
  const lines = ranges.map((range) =>
    text
      .slice(range.start + 2, range.end)
      .replace(/^ /, '')
      .trimEnd(),
  );
  const { indent, isAlone } = indentAt(text, first.start);
  if (!isAlone) return moveUp(text, first, lines);
  const body = flow(lines, LIMIT - indent.length - 3).map((line) => `${indent}// ${line}`.trimEnd());
  return { start: first.start, end: last.end, text: body.join('\n').trimStart() };
}

function commentsOf({ path, text }: SourceFile): { ranges: Range[]; isLine: (range: Range) => boolean } {
  const isLine = (range: Range): boolean => text.startsWith('//', range.start);
  if (/\.(ts|mjs)$/.test(path)) return { ranges: parseSync(path, text).comments, isLine };
  const matches = [...text.matchAll(/\/\*[\s\S]*?\*\/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|\/\/.*/g)];
  const ranges = matches
    .filter(([match]) => match.startsWith('/'))
    .map((match) => ({ start: match.index, end: match.index + match[0].length }));
  return { ranges, isLine };
}

/** Wraps comments with lines over the limit; leaves everything else as it is. */
export function wrapComments(file: SourceFile): string {
  const { text } = file;
  const { ranges, isLine } = commentsOf(file);
  const groups: Range[][] = [];
  for (const range of ranges) {
    const previous = groups.at(-1)?.at(-1);
    const isNext =
      previous !== undefined &&
      isLine(range) &&
      isLine(previous) &&
      indentAt(text, previous.start).isAlone &&
      /^\n[ \t]*$/.test(text.slice(previous.end, range.start));
    if (isNext) groups.at(-1)?.push(range);
    else groups.push([range]);
  }
  const edits = groups
    .filter((group) => group.some((range) => isTooLong(text, range)))
    .map((group) =>
      group[0] && isLine(group[0]) ? wrapLines(text, group) : group[0] && wrapBlock(text, group[0]),
    )
    .filter((edit) => edit !== undefined);
  let result = text;
  for (const edit of edits.reverse())
    result = result.slice(0, edit.start) + edit.text + result.slice(edit.end);
  return result;
}
