import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Entry } from './ledger.ts';
import { passedOver, violationsOf, type ListedContainer, type Witness } from './rules.ts';

const entry = (over: Partial<Entry>): Entry => ({
  ...{ name: 'c', kind: 'sleeper', exitCode: 0, id: 'a', pid: 7 },
  ...{ create: 'acknowledged', start: 'acknowledged', stop: 'no', remove: 'no' },
  ...over,
});
const listed = (over: Partial<ListedContainer>): ListedContainer => ({
  ...{
    id: 'a',
    name: 'c',
    status: 'running',
    pid: 7,
    exitCode: 0,
    finishedAt: '0001-01-01T00:00:00Z',
    autoRemove: false,
    address: '172.17.0.2',
    sandbox: '0123456789ab',
  },
  ...over,
});
const witness = (over: Partial<Witness>): Witness => ({
  listed: [listed({})],
  cgroupProcesses: new Map([['a', [7]]]),
  shims: ['a'],
  taskFolders: ['a'],
  links: ['a'],
  sandboxes: ['0123456789ab'],
  publishedAddresses: ['172.17.0.2'],
  mounts: [],
  alive: new Set([7]),
  ...over,
});
const rules = (entries: Entry[], facts: Witness): string[] => violationsOf(entries, facts).map((v) => v.rule);

test('a healthy engine breaks no rule', () => {
  assert.deepEqual(rules([entry({})], witness({})), []);
});

const unplugged = { links: [], sandboxes: [], publishedAddresses: [] };
const nothing = witness({
  ...unplugged,
  ...{ listed: [], cgroupProcesses: new Map(), shims: [], taskFolders: [] },
});
const ended = (over: Partial<ListedContainer>): Witness =>
  witness({
    ...unplugged,
    listed: [listed({ status: 'exited', pid: 0, finishedAt: '2026-01-01T00:00:00Z', ...over })],
    cgroupProcesses: new Map(),
    shims: [],
  });

const sabotage: readonly (readonly [string, string, Entry, Witness])[] = [
  ['a forgotten record', 'S1', entry({}), nothing],
  ['a removed container that came back', 'S2', entry({ remove: 'acknowledged' }), witness({})],
  ['another process', 'S3', entry({ pid: 8 }), witness({})],
  ['a stopped sleeper', 'S3', entry({}), ended({})],
  ['a stopped one that runs again', 'S10', entry({ stop: 'acknowledged' }), witness({})],
  ['a ghost', 'S4', entry({}), witness({ alive: new Set() })],
  [
    'an orphan',
    'S4',
    entry({}),
    witness({
      cgroupProcesses: new Map([
        ['a', [7]],
        ['b', [9]],
      ]),
    }),
  ],
  ['an exit code that is not true', 'S5', entry({ kind: 'exiter', exitCode: 3 }), ended({ exitCode: 0 })],
  ['an end without a time', 'S5', entry({ kind: 'exiter' }), ended({ finishedAt: '0001-01-01T00:00:00Z' })],
  ['an auto-remove that was forgotten', 'S6', entry({ kind: 'vanisher' }), ended({})],
  ['a container stuck in removing', 'S7', entry({ remove: 'attempted' }), ended({ status: 'removing' })],
  ['a shim of nobody', 'R2', entry({}), witness({ shims: ['a', 'b'] })],
  ['a folder of nobody', 'R2', entry({}), witness({ taskFolders: ['a', 'b'] })],
  ['a link of nobody', 'R2', entry({}), witness({ links: ['a', 'b'] })],
  ['a network namespace of nobody', 'R2', entry({}), witness({ sandboxes: ['0123456789ab', 'x'] })],
  ['a port of nobody', 'R2', entry({}), witness({ publishedAddresses: ['172.17.0.2', '172.17.0.9'] })],
  ['a mount of nobody', 'R2', entry({}), witness({ mounts: ['/data/overlay2/x'] })],
  ['a container that lost its link', 'S4', entry({}), witness({ links: [] })],
  [
    'a cgroup of nobody',
    'R2',
    entry({}),
    witness({
      cgroupProcesses: new Map([
        ['a', [7]],
        ['b', []],
      ]),
    }),
  ],
];

for (const [name, rule, promised, facts] of sabotage) {
  test(`caught: ${name} (${rule})`, () => {
    assert.ok(rules([promised], facts).includes(rule), JSON.stringify(violationsOf([promised], facts)));
  });
}

test('a freed address that is passed over is still held', () => {
  const freed = new Set(['172.17.0.2', '172.17.0.3', '172.17.0.10']);
  assert.deepEqual(passedOver(freed, new Set(['172.17.0.2', '172.17.0.3', '172.17.0.4'])), []);
  assert.deepEqual(passedOver(freed, new Set(['172.17.0.2', '172.17.0.4', ''])), ['172.17.0.3']);
  assert.deepEqual(passedOver(freed, new Set()), []);
});
