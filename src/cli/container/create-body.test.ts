import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parseFlags } from '../flags.ts';
import { COMMANDS } from '../generated/table.ts';
import { createRequest } from './create-body.ts';

const RECORDED = join(import.meta.dirname, '../../../test/reference/cli/create-bodies.jsonl');

/** Leaves out what the engine takes for "not said": null, false, 0, empty text, lists and objects. */
function significant(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(significant);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, item]) => [key, significant(item)] as const);
  const said = entries.filter(([, item]) => {
    if (item === null || item === undefined || item === '' || item === 0 || item === false) return false;
    return typeof item !== 'object' || Object.keys(item).length > 0;
  });
  return Object.fromEntries(said);
}

const folder = mkdtempSync(join(tmpdir(), 'gantry-create-'));
writeFileSync(join(folder, 'envfile'), 'A=1\nB=two words\n# comment\nHOME\nNOTSET\n');
writeFileSync(join(folder, 'labelfile'), 'lab1=v1\nlab2=v 2\n');
after(() => rmSync(folder, { recursive: true }));

for (const line of readFileSync(RECORDED, 'utf8').trim().split('\n')) {
  const { words, body } = JSON.parse(line) as { words: string[]; body: Record<string, unknown> };
  test(`docker ${words.join(' ')}`, () => {
    const command = COMMANDS.find((c) => c.name === words[0]);
    assert.ok(command);
    const moved = words
      .slice(1)
      .map((word) => (['envfile', 'labelfile'].includes(word) ? join(folder, word) : word));
    const { flags, args } = parseFlags(command, moved);
    const [image = '', ...rest] = args;
    const request = createRequest({
      flags,
      image,
      command: rest,
      environment: { HOME: '/tmp/golden-work/home' },
    });
    const ours = significant(request.body) as { HostConfig: Record<string, unknown> };
    assert.deepEqual(ours, significant(body));
  });
}
