import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from './config.ts';
import { parseFlags } from './config/flags.ts';
import { LiveSettings } from './live-settings.ts';

const config = (...args: string[]): ReturnType<typeof loadConfig> =>
  loadConfig(parseFlags(['--config-file', '/dev/null', ...args]).values);

test('debug and labels are taken over at once, the rest is named', () => {
  const live = new LiveSettings(config('--label', 'a=1'));
  const restart = live.replace(config('--label', 'b=2', '--debug', '--mtu', '1400', '--data-root', '/x'));
  assert.deepEqual(restart.toSorted(), ['dataRoot', 'network']);
  assert.deepEqual(live.now.labels, ['b=2']);
  assert.equal(live.now.logLevel, 'debug');
  assert.deepEqual(live.replace(config('--label', 'b=2')), [], 'what took a restart was not taken over');
});

test('what is about registries is live', () => {
  const live = new LiveSettings(config());
  const flags = ['--registry-mirror', 'https://m.example', '--max-concurrent-downloads', '7'];
  assert.deepEqual(live.replace(config(...flags)), []);
  assert.deepEqual(live.now.registries.mirrors, ['https://m.example/']);
  assert.equal(live.now.registries.maxDownloads, 7);
});
