/**
 * The rules about form that no other tool checks: lengths, parameters, names, unfinished work, words that do
 * not belong here.
 */
import { parseSync } from 'oxc-parser';
import { finish, readSources, type SourceFile } from './source/files.ts';
import { type Node, walk } from './source/walk.ts';

const LINE_LIMIT = 110;
const FILE_LIMIT = 500;
const FUNCTION_LIMIT = 70;
const PARAMETER_LIMIT = 3;
const BANNED_WORDS = new Set(['util', 'utils', 'helper', 'helpers', 'common', 'manager']);
/** Node loads a test reporter by its default export. */
const DEFAULT_EXPORTS = new Set(['tools/test-run/reporter.ts']);
const UNFINISHED = new RegExp(
  `\\b(${['TO', 'FIX', 'X'].map((w, i) => w + ['DO', 'ME', 'XX'][i]).join('|')})\\b`,
);
const FOREIGN = new RegExp(
  ['/wo' + 'rk/', String.raw`(?<![\w'"./])\.\./sha` + 'red', '/var' + '/tmp/'].join('|'),
);
const FUNCTIONS = new Set(['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression']);
const NAMED = new Set([
  ...['FunctionDeclaration', 'ClassDeclaration', 'VariableDeclarator'],
  ...['TSInterfaceDeclaration', 'TSTypeAliasDeclaration', 'MethodDefinition'],
]);

type Report = (line: number, what: string) => void;

function wordsOf(name: string): string[] {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
    .toLowerCase()
    .split(/[^a-z0-9]+/);
}

function bannedWord(name: string): string | undefined {
  return wordsOf(name).find((word) => BANNED_WORDS.has(word));
}

/** A text is not torn apart to please a limit: what stands between quotes does not count. */
function withoutTexts(line: string): string {
  return line.replace(/(['"`])(?:\\.|(?!\1).)*\1/g, '');
}

function checkText({ path, text }: SourceFile, report: Report): void {
  const lines = text.split('\n');
  const isCode = /\.(ts|mjs|c|h|sh)$/.test(path);
  if (isCode && lines.length - 1 > FILE_LIMIT) report(1, `${lines.length - 1} lines, at most ${FILE_LIMIT}`);
  for (const [index, line] of lines.entries()) {
    if (isCode && withoutTexts(line).length > LINE_LIMIT)
      report(index + 1, `${line.length} characters, at most ${LINE_LIMIT}`);
    if (UNFINISHED.test(line)) report(index + 1, 'unfinished work: finish it, or say what is as a fact');
    if (FOREIGN.test(line))
      report(index + 1, `names a place that is not part of this project: ${FOREIGN.exec(line)?.[0]}`);
    if (isCode && /^\s*(\/\/|\/\*+)\s*@ts-(ignore|expect-error|nocheck)/.test(line))
      report(index + 1, 'silences the type checker');
  }
}

function checkPath({ path }: SourceFile, report: Report): void {
  const name = path.split('/').at(-1) ?? '';
  if (!/\.(ts|mjs|c|h|sh)$/.test(name)) return;
  if (!/^[a-z0-9]+([.-][a-z0-9]+)*$/.test(name)) report(1, 'file names are in kebab-case');
  const word = bannedWord(name);
  if (word !== undefined) report(1, `"${word}" in a file name says nothing: name what it does`);
}

/** The bodies of suites only group tests. */
function isSuiteBody(node: Node, parent: Node | undefined): boolean {
  const callee = parent?.type === 'CallExpression' ? (parent.callee as Node | undefined) : undefined;
  return node.type === 'ArrowFunctionExpression' && ['describe', 'suite'].includes(String(callee?.name));
}

function checkFunction(node: Node, lineOf: (offset: number) => number, report: Report): void {
  const first = lineOf(node.start);
  const length = lineOf(node.end) - first + 1;
  if (length > FUNCTION_LIMIT) report(first, `a function of ${length} lines, at most ${FUNCTION_LIMIT}`);
  const parameters = (node.params as Node[]).filter((parameter) => parameter.name !== 'this');
  if (parameters.length > PARAMETER_LIMIT)
    report(first, `${parameters.length} positional parameters, at most ${PARAMETER_LIMIT}: pass an object`);
}

function checkName(node: Node, line: number, report: Report): void {
  const id = (node.id ?? node.key) as Node | undefined;
  const word = typeof id?.name === 'string' ? bannedWord(id.name) : undefined;
  if (word !== undefined)
    report(line, `"${word}" in the name ${String(id?.name)} says nothing: name what it does`);
}

function isModuleState(node: Node, parents: readonly Node[], path: string): boolean {
  if (!path.startsWith('src/') || node.type !== 'VariableDeclaration' || node.kind === 'const') return false;
  return (
    node.declare !== true &&
    parents.every((parent) => ['Program', 'ExportNamedDeclaration'].includes(parent.type))
  );
}

function checkTypeScript({ path, text }: SourceFile, report: Report): void {
  const starts = [0, ...[...text.matchAll(/\n/g)].map((match) => match.index + 1)];
  const lineOf = (offset: number): number => {
    let low = 0;
    let high = starts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return low + 1;
  };
  const { program, errors } = parseSync(path, text);
  for (const error of errors) report(1, error.message);
  walk(program as unknown as Node, (node, parents) => {
    const line = lineOf(node.start);
    if (FUNCTIONS.has(node.type) && !isSuiteBody(node, parents.at(-1))) checkFunction(node, lineOf, report);
    if (NAMED.has(node.type)) checkName(node, line, report);
    if (node.type === 'TSAnyKeyword')
      report(line, '`any` switches the type checker off: say what it is, or `unknown`');
    if (node.type === 'ExportDefaultDeclaration' && !DEFAULT_EXPORTS.has(path))
      report(line, 'a default export: give it a name');
    if (isModuleState(node, parents, path))
      report(line, 'state of a module: give it to an object that somebody constructs');
  });
}

/** All violations in the given files, as `path:line: what`. */
export function tidy(files: readonly SourceFile[]): string[] {
  const violations: string[] = [];
  for (const file of files) {
    if (file.path.includes('/generated/')) continue;
    const report: Report = (line, what) => violations.push(`${file.path}:${line}: ${what}`);
    checkPath(file, report);
    checkText(file, report);
    if (file.path.endsWith('.ts')) checkTypeScript(file, report);
  }
  return violations;
}

if (import.meta.main) {
  const files = readSources();
  finish(tidy(files), `${files.length} files are tidy`);
}
