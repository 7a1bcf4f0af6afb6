import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SandboxRequest } from './model.ts';
import { Sandboxes, type SandboxesOptions } from './sandboxes.ts';

test('a namespace whose loopback does not come up is closed', async () => {
  const closed: number[] = [];
  const kernel = {
    namespaces: { createNetwork: async () => 77 },
    links: {
      apply: () => {
        throw new Error('no buffer space');
      },
    },
  };
  const options = {
    kernel,
    settings: { execRoot: '/nowhere' },
    bridge: null,
    closeFd: (fd: number) => void closed.push(fd),
  } as unknown as SandboxesOptions;
  const sandboxes = new Sandboxes(options);
  const request = { containerId: 'c', name: 'n', mode: 'none' } as unknown as SandboxRequest;
  await assert.rejects(sandboxes.prepare(request), /no buffer space/);
  assert.deepEqual(closed, [77]);
  assert.deepEqual(sandboxes.all(), []);
});
