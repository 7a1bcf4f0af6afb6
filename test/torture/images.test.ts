import assert from 'node:assert/strict';
import { chmod, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { killVerbs } from './image-verbs.ts';
import { killPulls } from './pulls.ts';
import { killPushes } from './pushes.ts';

test('kills within downloads lose nothing and fetch nothing twice', { timeout: 200_000 }, async () => {
  const { violations } = await killPulls({ kills: 4, seed: 7 });
  assert.deepEqual(violations, []);
});

test('kills within uploads lose nothing', { timeout: 200_000 }, async () => {
  const { violations } = await killPushes({ kills: 4, seed: 7 });
  assert.deepEqual(violations, []);
});

test('kills in the middle of import, commit, save and rmi leave whole images or none', {
  timeout: 200_000,
}, async () => {
  const { violations } = await killVerbs({ kills: 4, seed: 7 });
  assert.deepEqual(violations, []);
});

interface Sabotage {
  readonly name: string;
  /** Shell, before each start of the daemon; `$root` is its data root. */
  readonly script: string;
  readonly rule: string;
}

const SABOTAGE: readonly Sabotage[] = [
  { name: 'forgets what it had fetched', script: 'rm -f "$root"/content/partial/*', rule: 'resume' },
  {
    name: 'loses the end of what it had fetched',
    script: 'for f in "$root"/content/partial/*; do [ -f "$f" ] && truncate -s 1000 "$f"; done',
    rule: 'resume',
  },
  {
    name: 'collects a file that another image needs',
    script: 'rm -f "$root"/overlay2/*/diff/bin/busybox',
    rule: 'D5',
  },
];

for (const { name, script, rule } of SABOTAGE) {
  test(`caught: a daemon that ${name} (${rule})`, { timeout: 100_000 }, async () => {
    const executable = `/tmp/gantryd-sabotaged-${process.pid}`;
    const gantryd = join(import.meta.dirname, '../../bin/gantryd');
    await writeFile(executable, `#!/bin/sh\nroot=$2\n${script}\nexec ${gantryd} "$@"\n`);
    await chmod(executable, 0o755);
    try {
      const { violations } = await killPulls({ kills: 2, seed: 3, daemon: { executable } });
      const rules = violations.map((violation) => violation.rule);
      assert.ok(rules.includes(rule), JSON.stringify(violations));
    } finally {
      await rm(executable);
    }
  });
}
