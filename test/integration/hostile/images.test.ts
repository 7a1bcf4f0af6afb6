/**
 * Images and volumes that lead a runtime astray by links: the classes of CVE-2019-19921, CVE-2021-30465,
 * CVE-2023-27561, CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881. What a link names is looked for inside
 * of the root or refused; the host's canary stays as it is. Each with and without privileges.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { OURS, place, runBundle, specOf } from '../differential/bundle.ts';
import { canary } from './canary.ts';
import { bind, CASES, folder, specFor } from './images.ts';

for (const privileged of [false, true]) {
  describe(`hostile images${privileged ? ', privileged' : ''}`, () => {
    for (const each of CASES) {
      test(each.name, async (t) => {
        const at = place(t);
        const outside = canary(at);
        const { terminal, starts } = each;
        const spec = specFor(each, { at, outside, privileged });
        const result = await runBundle(at, OURS, { spec, terminal });
        outside.check();
        const said = result.stdout + result.stderr;
        assert.equal(result.exit === 0, starts === 'privileged' ? privileged : starts, said);
        // Started or refused with a reason: never anything in between.
        if (result.exit === 0)
          assert.ok(result.stdout.includes('started\n') || result.stdout.includes('started\r\n'), said);
        else assert.match(said, /unable to start container process: |mounts\[\d\]\.destination: /);
      });
    }
  });
}

/** Swaps a directory and a link to the canary as fast as it can. */
const SWAPPER = `const fs = require('node:fs');
const [, base, target] = process.argv;
fs.mkdirSync(base + '-dir'); fs.symlinkSync(target, base + '-link');
process.stdout.write('ready');
for (;;) {
  try { fs.renameSync(base + '-dir', base); fs.renameSync(base, base + '-dir'); } catch {}
  try { fs.renameSync(base + '-link', base); fs.renameSync(base, base + '-link'); } catch {}
}`;

test('a mount target that is swapped while containers start', { timeout: 90_000 }, async (t) => {
  const at = place(t);
  const outside = canary(at);
  const volume = folder(at, 'volume');
  const swapper = spawn(
    process.execPath,
    ['-e', SWAPPER, join(volume, 'target'), join(outside.path, 'empty')],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  at.ends.push(() => swapper.kill('SIGKILL'));
  await new Promise((resolve) => swapper.stdout.once('data', resolve));
  let started = 0;
  for (let round = 0; round < 25; round++) {
    const spec = specOf(at, { args: ['/bin/true'] });
    spec.mounts?.push(bind(volume, '/data'), bind(folder(at, 'other'), '/data/target/deep'));
    if ((await runBundle(at, OURS, { spec })).exit === 0) started += 1;
    outside.check();
  }
  assert.ok(started > 0, 'not one container has started');
});
