import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isEngineError } from '#base/errors.ts';
import { silentLog } from '#base/log.ts';
import { createRecorder } from '#host/recorder.ts';
import { boot } from './boot.ts';
import { loadConfig } from './config.ts';
import { parseFlags } from './config/flags.ts';
import { LiveSettings } from './live-settings.ts';

test('on a kernel that is too old the daemon does not start, says why, and has made nothing', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'gantry-boot-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const places = ['data', 'exec', 'pid', 'sock'].map((name) => join(directory, name));
  const [data = '', exec = '', pid = '', socket = ''] = places;
  const flags = ['--data-root', data, '--exec-root', exec, '--pidfile', pid, '-H', `unix://${socket}`];
  const config = loadConfig(parseFlags(['--config-file', '/dev/null', ...flags]).values);
  const live = new LiveSettings(config);
  const { kernel } = createRecorder();
  const system = {
    ...kernel.system,
    facts: () => ({ ...kernel.system.facts(), kernelVersion: '5.10.0-8-amd64' }),
  };
  await assert.rejects(
    boot({ config, live, log: silentLog, kernel: { ...kernel, system } }),
    (error) =>
      isEngineError(error, 'unavailable') &&
      error.message.startsWith('Linux 5.15 or newer is required, this is 5.10.0-8-amd64'),
  );
  for (const path of places) assert.equal(existsSync(path), false, path);
});
