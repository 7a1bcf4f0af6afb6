import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tidy } from './tidy.ts';

function problems(text: string, path = 'src/base/x.ts'): string {
  return tidy([{ path, text }]).join('\n');
}

const LONG_FUNCTION = `function f() {\n${'  g();\n'.repeat(70)}}\n`;

const REFUSED: readonly (readonly [string, string, RegExp])[] = [
  ['a long function', LONG_FUNCTION, /:1: a function of 72 lines/],
  ['four parameters', 'const f = (a, b, c, d) => a;', /4 positional parameters/],
  ['a long line', `// ${'x'.repeat(110)}`, /113 characters/],
  ['a long file', '\n'.repeat(501), /501 lines/],
  ['any', 'let x;\nfunction f(a: string, b: any[]) { return x; }', /:2: `any`/],
  ['an assertion to any', 'const x = y as any;', /`any`/],
  ['a default export', 'export default function f() {}', /default export/],
  ['state of a module', 'let counter = 0;', /state of a module/],
  ['exported state of a module', 'export let counter = 0;', /state of a module/],
  ['a name that says nothing', 'class SocketManager {}', /"manager" in the name SocketManager/],
  ['unfinished work', `// TO${'DO'}: later`, /unfinished/],
  ['a place outside', `// see /wo${'rk'}/x`, /not part of this project/],
  ['a silenced type checker', '// @ts-ignore', /silences/],
  ['broken syntax', 'const = 1;', /x\.ts:1: /],
];

for (const [what, text, expected] of REFUSED)
  test(`refuses ${what}`, () => assert.match(problems(text), expected));

test('refuses file names', () => {
  assert.match(problems('', 'src/base/string-utils.ts'), /"utils" in a file name/);
  assert.match(problems('', 'src/base/fooBar.ts'), /kebab-case/);
});

test('accepts what is in order', () => {
  const text = `// Recommon words like commonplace are fine.
export const limit = 3;
export function f(this: Window, a: number, b: number, c: { any: string }): number {
  let local = a + b;
  local += c.any.length;
  return local;
}
`;
  assert.equal(problems(text), '');
  assert.equal(problems(`describe('x', () => {\n${'  g();\n'.repeat(80)}});\n`, 'src/base/x.test.ts'), '');
  assert.equal(problems('let timer = 0;', 'tools/x.ts'), '');
});
