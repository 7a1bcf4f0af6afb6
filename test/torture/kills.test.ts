import assert from 'node:assert/strict';
import { chmod, writeFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { busyboxArchive } from '../support/images.ts';
import { killRepeatedly } from './kills.ts';

test('three kills at random moments break no promise', { timeout: 150_000 }, async () => {
  const { archive, reference } = await busyboxArchive();
  const result = await killRepeatedly({ kills: 3, archive, image: reference, seed: 42 });
  assert.deepEqual(result.violations, [], `seed ${result.seed}`);
  assert.ok(result.acknowledged > 5, `only ${result.acknowledged} operations were acknowledged`);
});

test('the checker catches a daemon that forgets a record', { timeout: 100_000 }, async () => {
  const { archive, reference } = await busyboxArchive();
  const forgetful = `/tmp/gantryd-forgetful-${process.pid}`;
  const gantryd = join(import.meta.dirname, '../../bin/gantryd');
  // Before each start it loses the record of the oldest container that has no shim: as if create were never
  // flushed.
  const script = `#!/bin/sh
root=$2; exec_root=$4
for c in $(ls -tr "$root/containers" 2>/dev/null | grep -E '^[0-9a-f]{64}$' | head -3); do rm -rf "$root/containers/$c"; done
exec ${gantryd} "$@"
`;
  await writeFile(forgetful, script);
  await chmod(forgetful, 0o755);
  try {
    const result = await killRepeatedly({
      kills: 6,
      archive,
      image: reference,
      daemon: { executable: forgetful },
    });
    const rules = result.violations.map((violation) => violation.rule);
    assert.ok(rules.includes('S1'), `S1 was not reported: ${JSON.stringify(result.violations)}`);
  } finally {
    await rm(forgetful);
  }
});
