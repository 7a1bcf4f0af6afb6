/** The core suite and the launcher’s with a shim that checks itself, and the frame parser fuzzed. */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { promisify } from 'node:util';

const ROOT = join(import.meta.dirname, '../../..');
const BUILT = join(ROOT, 'dist/native');
const FILES = ['streams.test.ts', 'life.test.ts', 'runc.test.ts', 'overlay.test.ts', 'plan.test.ts'];
const FUZZ_ROUNDS = process.env['GANTRY_FUZZ_ROUNDS'] ?? '20000';
const FUZZ_SEED = process.env['GANTRY_FUZZ_SEED'] ?? '88172645463325252';
const run = promisify(execFile);

/** Whether this compiler can link the sanitizers at all; without their libraries there is nothing to test. */
function hasSanitizers(): boolean {
  const directory = mkdtempSync(join(tmpdir(), 'gantry-sanitizer-'));
  try {
    writeFileSync(join(directory, 'a.c'), 'int main(void) { return 0; }\n');
    const args = ['-fsanitize=address,undefined', '-o', join(directory, 'a'), join(directory, 'a.c')];
    execFileSync(process.env['CC'] ?? 'cc', args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const skip = !hasSanitizers() && 'no sanitizer runtime';

before(() => {
  if (!skip)
    execFileSync(join(ROOT, 'native/build.sh'), ['sanitize'], { stdio: ['ignore', 'ignore', 'inherit'] });
});

test('the core suite finds nothing to report in the checked shim', { skip }, async () => {
  const environment: NodeJS.ProcessEnv = {
    ...process.env,
    GANTRY_SHIM_BINARY: join(BUILT, 'gantry-shim-sanitized'),
  };
  // A test run inside a test run would report to the outer one.
  delete environment['NODE_TEST_CONTEXT'];
  const launcher = join(import.meta.dirname, '../launcher');
  const launches = readdirSync(launcher).filter((name) => name.endsWith('.test.ts'));
  const files = [
    ...FILES.map((name) => join(import.meta.dirname, name)),
    ...launches.map((name) => join(launcher, name)),
  ];
  const args = ['--test', '--test-reporter=tap', '--test-concurrency=1', '--test-timeout=60000', ...files];
  const { stdout } = await run(process.execPath, args, { env: environment, maxBuffer: 1 << 26 }).catch(
    (error: Error & { stdout?: string }) => assert.fail(error.stdout ?? error.message),
  );
  assert.match(stdout, /# pass [1-9]\d{1,2}\n# fail 0\n/);
});

test('the frame parser survives mutated frames', { skip }, () => {
  const text = execFileSync(join(BUILT, 'frame-fuzz'), [FUZZ_ROUNDS, FUZZ_SEED], { encoding: 'utf8' });
  assert.match(text, /rounds, checksum/);
});
