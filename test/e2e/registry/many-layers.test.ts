import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { registryTest } from '../../support/registry/fixture.ts';
import { OPEN_REGISTRY } from '../../support/registry/plan.ts';

const HOST = '127.0.0.1:5000';
/** More than the kernel's page of mount options can name by their paths. */
const LAYERS = 127;
const base = [
  { path: 'bin/', type: 'directory' as const },
  { path: 'bin/busybox', content: readFileSync('/bin/busybox'), mode: 0o755 },
  { path: 'bin/sh', type: 'symlink' as const, target: 'busybox' },
];
const rest = Array.from({ length: LAYERS - 1 }, (_, index) => [
  { path: 'layers/', type: 'directory' as const },
  { path: `layers/l${index}`, content: `${index}` },
  { path: 'layers/last', content: `${index}` },
]);

registryTest(
  `an image of ${LAYERS} layers is pulled, runs, and goes through an archive`,
  {
    ...{ hosts: { [HOST]: [OPEN_REGISTRY] }, tls: 'none', timeoutMs: 240_000 },
    images: [{ repository: 'deep', tags: ['v'], layers: [base, ...rest] }],
  },
  async ({ daemon }) => {
    const image = `${HOST}/deep:v`;
    await daemon.mustDocker(['pull', '-q', image], { timeoutMs: 120_000 });
    const script = 'cd /layers; set -- *; echo $#; busybox cat last';
    const runs = (): Promise<string> => daemon.mustDocker(['run', '--rm', image, 'sh', '-c', script]);
    assert.equal(await runs(), `${LAYERS}\n${LAYERS - 2}`);
    await daemon.mustDocker(['save', '-o', `${daemon.root}/deep.tar`, image]);
    await daemon.mustDocker(['rmi', image]);
    await daemon.mustDocker(['load', '-q', '-i', `${daemon.root}/deep.tar`], { timeoutMs: 120_000 });
    assert.equal(await runs(), `${LAYERS}\n${LAYERS - 2}`);
  },
);
