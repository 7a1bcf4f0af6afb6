/**
 * A thread that ends with its first job, once for every time the file of GANTRY_TEST_DEATHS says; then one of
 * the engine's own.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';

const path = process.env['GANTRY_TEST_DEATHS'] ?? '';
const deaths = Number(readFileSync(path, 'utf8'));
if (deaths > 0) {
  writeFileSync(path, String(deaths - 1));
  parentPort?.on('message', () => process.exit(1));
} else await import('../../../src/storage/layer/apply-worker.ts');
