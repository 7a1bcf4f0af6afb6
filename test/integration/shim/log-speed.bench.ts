/**
 * How fast the shim takes output into the json-file log. By hand:
 * `node --test test/integration/shim/log-speed.bench.ts`. The writer is C: a script's own work would count.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { FIELD, FRAME, intOf } from './shim-connection.ts';
import { startShim } from './shim-harness.ts';

const WRITER = `#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int count, char **words) {
	size_t size = atoi(words[1]);
	char *bytes = malloc(size);
	memset(bytes, 'a', size);
	for (size_t at = 99; at < size; at += 100)
		bytes[at] = 10;
	for (long left = atol(words[2]); left > 0; left -= size)
		if (write(1, bytes, size) < 0)
			return count;
	return 0;
}
`;
const ROUNDS = 5;

function makeWriter(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'gantry-log-speed-'));
  t.after(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, 'writer.c'), WRITER);
  const program = join(directory, 'writer');
  execFileSync(process.env['CC'] ?? 'cc', ['-O2', '-o', program, join(directory, 'writer.c')]);
  return program;
}

function cpuMs(pid: number): number {
  const words = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(words[11]) + Number(words[12])) * 10;
}

async function speed(t: TestContext, size: number, total: number): Promise<string> {
  const writer = makeWriter(t);
  const shim = await startShim(t);
  const started = await shim.start(`exec ${writer} ${size} ${total}`, [
    [FIELD.logMaxSize, 1 << 28],
    [FIELD.logMaxFile, 1],
  ]);
  assert.equal(started.type, FRAME.started);
  const from = performance.now();
  const exit = await shim.control.event(FRAME.exit);
  assert.equal(intOf(exit, FIELD.exitCode), 0);
  const seconds = (performance.now() - from) / 1000;
  return `${(total / 1e6 / seconds).toFixed(0)} MB/s (shim ${cpuMs(shim.pid)} ms CPU in ${(seconds * 1000).toFixed(0)})`;
}

for (const [size, total] of [
  [100, 60e6],
  [4096, 200e6],
  [65536, 400e6],
] as const) {
  test(`${size} bytes a write`, async (t) => {
    for (let round = 0; round < ROUNDS; round++) t.diagnostic(await speed(t, size, total));
  });
}
