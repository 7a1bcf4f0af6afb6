import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEngineError } from '#base/errors.ts';
import { expand } from './change-expansion.ts';

const SCOPE = { env: ['V=foo.bar.gz', 'E=', 'P=80 81', 'X=aXbXc', 'V2=no', 'V2=yes'], escape: '\\' };

const EXPANDED: readonly (readonly [text: string, word: string])[] = [
  ['$V2-${V2}', 'yes-yes'],
  ['\'$V\' "$V" \\$V', '$V foo.bar.gz $V'],
  ['"\\$V \\\\ \\n"', '$V \\ \\n'],
  ['$ $$ $1a $?x', '$  a x'],
  ['${E:-x}|${E-x}|${E:+y}|${E+y}|${Z-q}|${Z:-"a b"}', 'x|||y|q|a b'],
  ['${Z:-${Q:-deep}}${Z:-\\}}', 'deep}'],
  ['${V%.*} ${V%%.*} ${V#*.} ${V##*.}', 'foo.bar foo bar.gz gz'],
  ['${V/o/0} ${V//o/0} ${V/q*/0}', 'f0o.bar.gz f00.bar.gz foo.bar.gz'],
  ['${X/X*/_} ${X//X/} ${X//?/-} ${X//*/-} ${X#*X} ${X%%X*}', 'a_ abc ----- - bXc a'],
];

const REFUSED: readonly (readonly [text: string, message: string])[] = [
  ['"x', 'unexpected end of statement while looking for matching double-quote'],
  ["a'x", 'unexpected end of statement while looking for matching single-quote'],
  ['${', "syntax error: missing '}'"],
  ['${Z', 'unsupported modifier (\uFFFD) in substitution'],
  ['${Z:-', "syntax error: missing '}'"],
  ['${V/x}', "syntax error: missing '/' in ${}"],
  ['${}', 'syntax error: bad substitution'],
  ['${Z:=1}', 'unsupported modifier (:=) in substitution'],
  ['${Z?}', 'Z: is not allowed to be unset'],
  ['${E:?}', 'E: is not allowed to be empty'],
  ['${Z:?no way}', 'Z: no way'],
  ['${V#\\.}', "invalid pattern (\\.) in substitution: invalid escape '\\.'"],
];

test('quotes and variables become what a shell makes of them', () => {
  for (const [text, word] of EXPANDED) assert.equal(expand(text, SCOPE).word, word, text);
  assert.deepEqual(expand('$P "a b" c\\ d "" $Z', SCOPE).words, ['80', '81', 'a b', 'c d']);
});

test('what has no end or no meaning is refused', () => {
  for (const [text, message] of REFUSED)
    assert.throws(
      () => expand(text, SCOPE),
      (error) =>
        isEngineError(error, 'invalidArgument') &&
        error.message === `failed to process ${JSON.stringify(text)}: ${message}`,
      text,
    );
});

test('no pattern takes long', () => {
  const env = [`V=${'a'.repeat(20_000)}`];
  const started = performance.now();
  for (const form of ['/', '//']) expand(`$\{V${form}a*a*a*a*a*b/x}`, { env, escape: '\\' });
  expand('${V%%*a*a*a*a*a*b}', { env, escape: '\\' });
  assert.ok(performance.now() - started < 2000);
});
