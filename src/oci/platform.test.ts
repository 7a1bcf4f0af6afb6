import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isPlatform, parsePlatform, platformRank, platformRuns } from './platform.ts';

test('a machine runs its own architecture, not beyond its level', () => {
  const host = { os: 'linux', architecture: 'amd64', variant: 'v3' };
  const runs = (architecture: string, variant = ''): boolean =>
    platformRuns(host, { os: 'linux', architecture, variant });
  assert.deepEqual(
    [runs('amd64'), runs('x86_64'), runs('amd64', 'v3'), runs('amd64', 'v4'), runs('arm64')],
    [true, true, true, false, false],
  );
  assert.equal(
    platformRuns({ os: 'linux', architecture: 'arm64' }, { os: 'linux', architecture: 'arm' }),
    true,
  );
});

test('an image that does not say its variant is for every machine of its architecture', () => {
  const v6 = parsePlatform('linux/arm/v6');
  assert.equal(platformRuns(v6, { os: 'linux', architecture: 'arm' }), true);
  assert.equal(platformRuns(v6, { os: 'linux', architecture: 'arm', variant: 'v7' }), false);
  assert.equal(platformRuns(v6, { os: '', architecture: 'arm' }), true, 'the system is Linux');
  assert.equal(platformRuns(v6, { os: 'linux', architecture: '' }), false);
});

test('what is for a platform, as the reference decides about save and load', () => {
  const is = (wanted: string, architecture: string, variant = ''): boolean =>
    isPlatform(parsePlatform(wanted), { os: 'linux', architecture, variant });
  assert.ok(is('linux/amd64', 'amd64') && is('linux/amd64/v1', 'x86_64') && is('linux/amd64', 'amd64', 'v1'));
  assert.ok(is('linux/amd64/v2', 'amd64', 'v2') && is('linux/arm', 'arm', 'v7') && is('linux/arm/v7', 'arm'));
  assert.ok(is('linux/arm64', 'arm64', 'v8') && is('linux/arm64/v8', 'arm64'));
  assert.ok(!is('linux/amd64', 'amd64', 'v3') && !is('linux/amd64/v2', 'amd64') && !is('linux/amd64', '386'));
  assert.ok(!is('linux/arm64/v9', 'arm64') && !is('linux/arm', 'arm', 'v6') && !is('linux/arm64', 'arm'));
});

/** Best first, as containerd's platforms order them. */
const RANKS = [
  ['linux/amd64', ['linux/amd64', 'linux/386'], ['linux/amd64/v2', 'linux/arm64']],
  ['linux/amd64/v3', ['linux/amd64/v3', 'linux/amd64/v2', 'linux/amd64', 'linux/386'], ['linux/amd64/v4']],
  ['linux/arm', ['linux/arm/v7', 'linux/arm/v6', 'linux/arm/v5'], ['linux/arm/v8', 'linux/arm64']],
  ['linux/arm64', ['linux/arm64/v8', 'linux/arm/v8', 'linux/arm/v7', 'linux/arm/v5'], ['linux/arm64/v9']],
  ['linux/arm64/v8.1', ['linux/arm64/v8.1', 'linux/arm64', 'linux/arm/v8'], ['linux/arm64/v8.2']],
  ['linux/arm64/v9', ['linux/arm64/v9', 'linux/arm64/v8.5', 'linux/arm64'], ['linux/arm64/v8.6']],
  ['linux/arm64/v9.1', ['linux/arm64/v9.1', 'linux/arm64/v9', 'linux/arm64/v8.6', 'linux/arm64'], []],
  ['linux/s390x', ['linux/s390x'], ['linux/amd64']],
  ['linux(+f+g)/amd64', ['linux(2+f)/amd64', 'linux(+g)/386'], ['linux(+h)/amd64', 'linux(+f+h)/386']],
] as const;

for (const [host, runs, not] of RANKS)
  test(`what ${host} runs, and in which order`, () => {
    const has = parsePlatform(host);
    const rank = (offered: string): number | null => platformRank(has, parsePlatform(offered));
    const ranks = runs.map(rank);
    assert.ok(
      ranks.every((each, i) => each !== null && (i === 0 || each > (ranks[i - 1] ?? Infinity))),
      String(ranks),
    );
    for (const other of not) assert.equal(rank(other), null, other);
  });
