import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wrapComments } from './wrap-comments.ts';

const WORDS = Array.from({ length: 30 }, (_, index) => `word${index}`).join(' ');

function wrap(text: string, path = 'x.ts'): string {
  const result = wrapComments({ path, text });
  for (const line of result.split('\n')) assert.ok(line.length <= 110, line);
  assert.equal(wrapComments({ path, text: result }), result, 'wrapping twice changes nothing');
  return result;
}

function wordsOf(text: string): string {
  return text.replace(/[/*\s]+/g, ' ').trim();
}

test('line comments flow into each other, lists and short texts stay', () => {
  const result = wrap(`  // ${WORDS}\n  // and on\n  // - a list\nconst x = 1; // short\n`);
  assert.match(result, /word29 and on\n  \/\/ - a list\nconst x = 1; \/\/ short\n$/);
});

test('a block on one line opens up', () => {
  const result = wrap(`/** ${WORDS} */\nexport const a = 1;\n`);
  assert.match(result, /^\/\*\*\n \* word0 .*\n \* .*word29\n \*\/\nexport const a = 1;\n$/);
});

test('blocks keep their words, paragraphs and place', () => {
  const source = `class A {\n  /**\n   * ${WORDS}\n   *\n   * second. */\n  f(): void {}\n}\n`;
  const result = wrap(source);
  assert.equal(wordsOf(result), wordsOf(source));
  assert.match(result, /\n {3}\*\n {3}\* second\.\n {3}\*\/\n/);
});

test('a long comment behind code moves above it', () => {
  assert.match(
    wrap(`  const x = 1; // ${WORDS}\n`),
    /^ {2}\/\/ word0.*\n {2}\/\/ .*word29\n {2}const x = 1;\n$/,
  );
  assert.match(
    wrap(`  int x; /* ${WORDS} */\n`, 'x.c'),
    /^ {2}\/\*\n {3}\* word0.*\n.*word29\n {3}\*\/\n {2}int x;\n$/,
  );
});

test('what looks like a comment in a text is left alone', () => {
  const text = `const x = \`\n// ${WORDS}\n\`;\n`;
  assert.equal(wrapComments({ path: 'x.ts', text }), text);
  const c = `char *x = "/* ${WORDS} */";\n`;
  assert.equal(wrapComments({ path: 'x.c', text: c }), c);
});
