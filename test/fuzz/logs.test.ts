import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { silentLog } from '#base/log.ts';
import { readLog, type ReadLogRequest } from '../../src/container/logs/read-log.ts';
import { mutate } from './mutate.ts';
import { type Chance, fuzz } from './rounds.ts';

const scratch = mkdtempSync(join(tmpdir(), 'gantry-fuzz-logs-'));
after(() => rmSync(scratch, { recursive: true, force: true }));
const path = join(scratch, 'c-json.log');

function record(number: number, pad = ''): string {
  return `${JSON.stringify({ log: `line ${number}${pad}\n`, stream: 'stdout', time: '2024-05-06T07:08:09.12Z' })}\n`;
}

function request(tail: number | null): ReadLogRequest {
  const window = { stdout: true, stderr: true, since: null, until: null };
  const style = { timestamps: false, details: null };
  return { path, window, style, tail, signal: new AbortController().signal, log: silentLog, follow: null };
}

async function lines(tail: number | null = null): Promise<string[]> {
  const seen: string[] = [];
  for await (const frame of readLog(request(tail))) seen.push(Buffer.from(frame.data).toString());
  return seen;
}

function clear(): void {
  for (const name of readdirSync(scratch)) rmSync(join(scratch, name));
}

/**
 * What a kill of the shim, a full disk or a bad sector leaves between whole records; never a whole record of
 * its own.
 */
function damage(chance: Chance): string {
  const torn = record(999_999).slice(0, 1 + chance.below(40));
  const kinds = [
    torn,
    '',
    '\0'.repeat(chance.below(5000)),
    '{"log":1}',
    '[]',
    'null',
    '{"log":"x","stream":"stdin","time":"t"}',
  ];
  return `${chance.pick(kinds)}\n`;
}

fuzz(
  'every whole record comes once and in order, damaged ones are skipped',
  { short: 200 },
  async (chance) => {
    clear();
    const files = 1 + chance.below(3);
    let number = 0;
    const expected: string[] = [];
    for (let file = files - 1; file >= 0; file--) {
      const name = file === 0 ? path : `${path}.${file}`;
      writeFileSync(name, '');
      const count = chance.below(60);
      for (let i = 0; i < count; i++) {
        if (chance.flip(0.15)) appendFileSync(name, damage(chance));
        const pad = chance.flip(0.02) ? 'x'.repeat(70_000) : '';
        appendFileSync(name, record(number, pad));
        expected.push(`line ${number}${pad}\n`);
        number++;
      }
      if (chance.flip(0.2)) appendFileSync(name, record(999_999).slice(0, 1 + chance.below(40)));
    }
    assert.deepEqual(await lines(), expected);
  },
);

fuzz('damaged files are read to their end', { short: 300 }, async (chance) => {
  clear();
  const whole = Array.from({ length: 20 }, (_, number) => record(number)).join('');
  writeFileSync(path, mutate(Buffer.from(whole), chance));
  const tail = chance.flip() ? chance.below(30) : null;
  const seen = await lines(tail);
  assert.ok(tail === null || seen.length <= tail, `${seen.length} lines for the last ${tail}`);
});

test('a line without end is skipped and not kept', async () => {
  clear();
  writeFileSync(path, record(1));
  const part = Buffer.alloc(1024 * 1024, 0x61);
  for (let i = 0; i < 100; i++) appendFileSync(path, part);
  appendFileSync(path, `\n${record(2)}`);
  const before = process.memoryUsage().rss;
  assert.deepEqual(await lines(), ['line 1\n', 'line 2\n']);
  const grown = process.memoryUsage().rss - before;
  assert.ok(grown < 64 * 1024 * 1024, `${grown} bytes more`);
});
