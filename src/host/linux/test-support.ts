/** For the tests of this room only: a scratch directory, and a system call layer. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { loadNative } from './native.ts';
import { Sys } from './sys.ts';

export function testSys(): Sys {
  return new Sys(loadNative());
}

/** Removed when the test is over. */
export function scratch(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'gantry-host-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
