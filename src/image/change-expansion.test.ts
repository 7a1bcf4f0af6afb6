import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEngineError } from '#base/errors.ts';
import { ChangeBudget } from './change-budget.ts';
import { ChangeEnvironment } from './change-environment.ts';
import { expand, type ExpansionScope } from './change-expansion.ts';

function scopeOf(env: readonly string[]): ExpansionScope {
  return { env: new ChangeEnvironment(env), escape: '\\', budget: new ChangeBudget() };
}

const SCOPE = scopeOf(['V=foo.bar.gz', 'E=', 'P=80 81', 'X=aXbXc', 'V2=no', 'V2=yes']);

const EXPANDED: readonly (readonly [text: string, word: string])[] = [
  ['$V2-${V2}', 'yes-yes'],
  ['\'$V\' "$V" \\$V', '$V foo.bar.gz $V'],
  ['"\\$V \\\\ \\n"', '$V \\ \\n'],
  ['$ $$ $1a $?x', '$  a x'],
  ['${E:-x}|${E-x}|${E:+y}|${E+y}|${Z-q}|${Z:-"a b"}', 'x|||y|q|a b'],
  ['${Z:-${Q:-deep}}${Z:-\\}}', 'deep}'],
  ['${V%.*} ${V%%.*} ${V#*.} ${V##*.}', 'foo.bar foo bar.gz gz'],
  ['${V/o/0} ${V//o/0} ${V/q*/0}', 'f0o.bar.gz f00.bar.gz foo.bar.gz'],
  ['${V#f*o} ${V##*o*} ${V%.*.*} ${V%%*z} ${V#x*}', 'o.bar.gz  foo  foo.bar.gz'],
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
  const scope = scopeOf([`V=${'a'.repeat(20_000)}`]);
  const started = performance.now();
  for (const form of ['/', '//']) expand(`$\{V${form}a*a*a*a*a*b/x}`, scope);
  expand('${V%%*a*a*a*a*a*b}', scope);
  assert.ok(performance.now() - started < 2000);
});
