import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SandboxRequest } from './model.ts';
import { Sandboxes, type SandboxesOptions } from './sandboxes.ts';

test('a network that cannot be made leaves nothing behind', async () => {
  const kernel = {
    namespaces: { createNetwork: () => Promise.reject(new Error('no buffer space')) },
  };
  const options = {
    kernel,
    settings: { execRoot: '/nowhere' },
    bridge: null,
    plainNetworks: { host: 'h', none: 'n' },
  } as unknown as SandboxesOptions;
  const sandboxes = new Sandboxes(options);
  const request = { containerId: 'c', name: 'n', mode: 'none' } as unknown as SandboxRequest;
  await assert.rejects(sandboxes.prepare(request), /no buffer space/);
  assert.deepEqual(sandboxes.all(), []);
});
