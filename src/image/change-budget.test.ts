import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import { EMPTY_DEFAULTS, type ImageDefaults } from '#oci/image-config.ts';
import { applyChanges } from './changes.ts';

/** Each of these took seconds to minutes, or the daemon's life. */
const MOST_MS = 1000;

function apply(text: string): ImageDefaults {
  const started = performance.now();
  try {
    return applyChanges(EMPTY_DEFAULTS, [text]);
  } finally {
    const tookMs = performance.now() - started;
    assert.ok(tookMs < MOST_MS, `${text.slice(0, 40)}: ${tookMs} ms`);
  }
}

function refused(text: string, message: RegExp): void {
  assert.throws(
    () => apply(text),
    (error) => isEngineError(error, 'invalidArgument') && message.test(error.message),
  );
}

const lines = (count: number, line: (at: number) => string): string =>
  Array.from({ length: count }, (_, at) => line(at)).join('\n');

test('changes are so long and no longer', () => {
  const name = 'u'.repeat(LIMITS.changeTextBytes - 'USER '.length);
  assert.equal(apply(`USER ${name}`).user, name);
  refused(`USER ${name}u`, /^changes are too many bytes in all \(more than 65536\)$/);
  assert.throws(() => applyChanges(EMPTY_DEFAULTS, [`USER ${name}`, '']), { kind: 'invalidArgument' });
});

test('white space, directives and continued lines cost their length', () => {
  const spaces = ' '.repeat(60_000);
  assert.equal(apply(`USER a${spaces}b`).user?.length, spaces.length + 2);
  assert.equal(apply(`USER a${spaces}`).user, 'a');
  refused(`# escape=${spaces}x${spaces.slice(0, 5000)}\nUSER a`, /^invalid escape token 'x'/);
  refused(`# escape=${'x '.repeat(30_000)}\nUSER a`, /^invalid escape token 'x x /);
  refused('# escape= \t\nUSER a', /^invalid escape token '\t'/);
  assert.equal(apply(`USER ${lines(20_000, () => 'a\\')}\nb`).user, `${'a'.repeat(20_000)}b`);
  refused(`ONBUILD ${'ONBUILD '.repeat(8000)}RUN x`, /^Chaining ONBUILD/);
});

test('variables become so much and no more', () => {
  const doubled = (times: number): string => `ENV a=xx\n${lines(times, () => 'ENV a=$a$a')}`;
  assert.equal(apply(doubled(18)).env?.[0]?.length, 'a='.length + LIMITS.changeExpandedBytes / 2);
  const text = /changes expand to too many bytes \(more than 1048576\)$/;
  for (const bad of [
    doubled(23),
    `${doubled(15)}\nUSER ${'$a'.repeat(20_000)}`,
    `${doubled(15)}\nUSER ${'"$a"'.repeat(10_000)}`,
    `${doubled(15)}\nUSER ${'${b-'.repeat(90)}$a${'}'.repeat(90)}`,
    `${doubled(12)}\nUSER \${a//x/${'y'.repeat(50_000)}}`,
    `WORKDIR /${'a/'.repeat(20_000)}\n${lines(2000, () => 'WORKDIR b')}`,
  ])
    refused(bad, text);
});

test('substitutions are nested so deep and no deeper', () => {
  const nested = (depth: number): string => `USER ${'${a-'.repeat(depth)}x${'}'.repeat(depth)}`;
  assert.equal(apply(nested(LIMITS.changeDepth)).user, 'x');
  refused(nested(LIMITS.changeDepth + 1), /: substitutions are nested deeper than 100$/);
  refused(`USER ${'${a-'.repeat(15_000)}`, /^failed to process /);
  refused(`USER ${'${a-"'.repeat(12_000)}`, /^failed to process /);
});

test('patterns cost so much and no more', () => {
  const with0 = (value: number, pattern: number): string =>
    `ENV v=${'a'.repeat(value)}\nUSER \${v//${'a*'.repeat(pattern / 2)}b/x}`;
  assert.equal(apply(with0(8000, 1000)).user?.length, 8000);
  const steps = LIMITS.changePatternSteps;
  refused(with0(8192, steps / 8192), /match values and patterns that are too long \(more than 16777216\)$/);
  refused(`ENV v=${'a'.repeat(20_000)}\n${lines(1500, () => 'USER ${v%%*a*a*}')}`, /too long/);
});

test('so many ports are exposed and no more', () => {
  const all = 'EXPOSE 1-65535/tcp 1-65535/udp 1-65535/sctp 1-65535/tcp';
  assert.equal(apply(all).exposedPorts?.length, 3 * 65_535);
  assert.ok(3 * 65_535 < LIMITS.changePorts);
  const text = /^changes expose too many ports \(more than 196608\)$/;
  refused(
    lines(20, () => 'EXPOSE 1-65535'),
    text,
  );
  refused(`EXPOSE ${lines(20, (at) => `1-${65_000 + at}`).replaceAll('\n', ' ')}`, text);
  refused(`EXPOSE [${':'.repeat(60_000)}1:80:80`, /^Invalid ip address/);
});

test('many instructions cost their number', () => {
  const many = lines(4000, (at) => `ENV n${at}=1`);
  assert.equal(apply(many).env?.length, 4000);
  assert.equal(apply(`ENV ${lines(6000, (at) => `n${at}=1`).replaceAll('\n', ' ')}`).env?.length, 6000);
  assert.equal(Object.keys(apply(lines(4000, (at) => `LABEL n${at}=1`)).labels ?? {}).length, 4000);
  assert.equal(apply(lines(4000, (at) => `VOLUME /${at}`)).volumes?.length, 4000);
  assert.equal(apply(lines(4000, () => 'ONBUILD USER a')).onBuild?.length, 4000);
  assert.equal(apply(`EXPOSE 1-65535\n${lines(5000, () => 'EXPOSE 1')}`).exposedPorts?.length, 65_535);
  refused(`STOPSIGNAL ${'9'.repeat(60_000)}`, /^invalid signal/);
});
