import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import { LAYERS } from '../src/layers.ts';
import { ROOT } from './paths.ts';

const PLACES = /^(?:src|test|tools|native|docs|bin)\/[\w./-]+$/;

function pages(): string[] {
  const below = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' });
  const inDocs = below.filter((name) => name.endsWith('.md')).map((name) => join(ROOT, 'docs', name));
  return [...inDocs, ...['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md'].map((name) => join(ROOT, name))];
}

/** Words between back quotes and targets of links that should name a file, as absolute paths. */
function namedFiles(page: string): string[] {
  const text = readFileSync(page, 'utf8').replace(/^```[\s\S]*?^```/gm, '');
  const quoted = [...text.matchAll(/`([^`\n]+)`/g)]
    .map((match) => match[1] ?? '')
    .filter((word) => PLACES.test(word));
  const links = [...text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map((match) => match[1] ?? '');
  const local = links.filter((target) => !/^[a-z]+:/.test(target));
  return [...quoted.map((path) => join(ROOT, path)), ...local.map((path) => join(dirname(page), path))];
}

test('files that the documents name exist', () => {
  const missing = pages().flatMap((page) =>
    namedFiles(page)
      .filter((path) => !existsSync(path))
      .map((path) => `${relative(ROOT, page)}: ${relative(ROOT, path)}`),
  );
  assert.deepEqual(missing, []);
});

test('no table waits for a word', () => {
  const waiting = pages().filter((page) => /\| @\w/.test(readFileSync(page, 'utf8')));
  assert.deepEqual(waiting, []);
});

function cells(page: string, column: number): Map<string, string> {
  const rows = readFileSync(join(ROOT, page), 'utf8').matchAll(/^\| `(\w+)` \|(.*)\|$/gm);
  return new Map(
    [...rows].map((match) => [match[1] ?? '', (match[2] ?? '').split('|')[column]?.trim() ?? '']),
  );
}

const UNITS: Readonly<Record<string, number>> = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, s: 1000 };

test('the table of bounds says what limits.ts says', () => {
  const table = cells('docs/RELIABILITY.md', 0);
  const values = [...table].map(([name, text]) => {
    const [number = '', unit = ''] = text.split(' ');
    return [name, Number(number) * (UNITS[unit] ?? 1)] as const;
  });
  assert.deepEqual(Object.fromEntries(values), { ...LIMITS });
});

test('the table of rooms says what layers.ts says', () => {
  const table = cells('docs/ARCHITECTURE.md', 1);
  for (const [room, { rooms }] of Object.entries(LAYERS)) {
    const said = table.get(room);
    const names = Object.keys(LAYERS);
    const above = names.slice(0, names.indexOf(room));
    if (said === 'all of the above') assert.deepEqual([...rooms].toSorted(), above.toSorted());
    else assert.equal(said, rooms.length === 0 ? '–' : rooms.join(' '), room);
  }
});
