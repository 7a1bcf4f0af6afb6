/**
 * Layers that were made to do harm, and a tree beside them that none may touch. They are applied to a storage
 * (hostile-classes.test.ts), beside somebody who swaps links in (hostile-swapper.test.ts), and come through
 * pulls and loads (test/e2e/registry/hostile-images.test.ts).
 */
import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Member } from './archive-builder.ts';

export interface HostileLayer {
  readonly name: string;
  /** The layer that this one stands on. */
  readonly below?: readonly Member[];
  readonly members: readonly Member[];
}

export interface Canary {
  readonly path: string;
  /** Nothing was written, linked, removed, or given another mode, owner or time. */
  check(what?: string): void;
}

function stateOf(path: string): readonly string[] {
  const { mode, uid, gid, size, nlink, mtimeNs, ctimeNs } = lstatSync(path, { bigint: true });
  const own = [path, mode, uid, gid, size, nlink, mtimeNs, ctimeNs].join(' ');
  const kind = lstatSync(path);
  if (kind.isFile()) return [`${own} ${readFileSync(path, 'utf8')}`];
  if (!kind.isDirectory()) return [own];
  const names = readdirSync(path).sort();
  return [own, ...names.flatMap((name) => stateOf(join(path, name)))];
}

/** Makes the tree that nothing may touch. */
export function canaryIn(folder: string): Canary {
  const path = join(folder, 'canary');
  mkdirSync(join(path, 'sub'), { recursive: true });
  writeFileSync(join(path, 'file'), 'untouched', { mode: 0o600 });
  writeFileSync(join(path, 'sub', 'file'), 'untouched');
  symlinkSync('file', join(path, 'link'));
  const before = stateOf(path);
  return { path, check: (what = 'the canary') => assert.deepEqual(stateOf(path), before, what) };
}

/** Whatever else a target is, it leads to the canary, or at least out of the tree. */
function waysOut(outside: string): readonly string[] {
  return [outside, `${'../'.repeat(20)}${outside.slice(1)}`, '/proc/self/root', '/proc/self/cwd'];
}

export function climbing(outside: string): readonly HostileLayer[] {
  const up = '../'.repeat(20);
  const one: readonly Member[] = [
    { name: `${up}dotdot`, content: 'a' },
    { name: 'a/../../x', content: 'a' },
    { name: '/../x', content: 'a' },
    { name: '../.wh.x' },
    { name: 'h', type: '1', link: '../../etc/passwd' },
    { name: 'x', content: 'overwritten', pax: { path: `${up}${outside.slice(1)}/file` } },
    { name: 'x', content: 'overwritten', pax: { path: `${outside}/file` } },
    { name: 'x', pax: { path: `${outside}/.wh.file` } },
  ];
  return one.map((member, index) => ({ name: `climbing ${index}`, members: [member] }));
}

export function throughLinks(outside: string): readonly HostileLayer[] {
  return waysOut(outside).flatMap((link) => {
    const first: Member = { name: 'l', type: '2', pax: { linkpath: link } };
    const attacks: readonly (readonly Member[])[] = [
      [first, { name: 'l/file', content: 'overwritten' }],
      [first, { name: 'l/new', content: 'x' }],
      [first, { name: 'l/sub/', mode: 0 }],
      [first, { name: 'l/.wh.file' }, { name: 'l/.wh..wh..opq' }],
      [first, { name: 'h', type: '1', link: 'l/file' }, { name: 'h', content: 'overwritten' }],
      [first, { name: 'k', type: '1', link: 'l' }, { name: 'k/file', content: 'overwritten' }],
      [first, { name: 'a', type: '2', link: 'l' }, { name: 'a/b', type: '2', link: 'x' }],
      [first, { name: 'l', content: 'instead of the link' }],
      [
        { name: 'f', type: '1', pax: { linkpath: `${link}/file` } },
        { name: 'f', content: 'overwritten' },
      ],
    ];
    return attacks.map((members, index) => ({ name: `through ${link}: ${index}`, members }));
  });
}

export function hardLinks(outside: string): readonly HostileLayer[] {
  const below: readonly Member[] = [
    { name: 'out', type: '2', link: outside },
    { name: 'own', content: 'below' },
  ];
  const attacks: readonly (readonly Member[])[] = [
    [{ name: 'h', type: '1', link: 'out/file' }],
    [{ name: 'out/h', type: '1', link: 'own' }],
    [
      { name: 'h', type: '1', link: 'out' },
      { name: 'h/file', content: 'overwritten' },
    ],
    [
      { name: 'out', type: '2', link: outside },
      { name: 'h', type: '1', link: 'out/file' },
    ],
    [
      { name: 'h', type: '1', link: `${outside}/file` },
      { name: 'h', content: 'overwritten' },
    ],
    [{ name: 'h', type: '1', link: 'h' }],
    [{ name: 'h', type: '1', link: '/proc/self/exe' }],
    [{ name: 'h', type: '1', link: '' }],
  ];
  return attacks.map((members, index) => ({ name: `hard links ${index}`, below, members }));
}

export function wrongRoots(outside: string): readonly HostileLayer[] {
  return ['.', './', '/', ''].flatMap((name) =>
    [
      { type: '2', link: outside },
      { type: '0', content: 'x' },
      { type: '1', link: 'etc' },
      { type: '3', major: 1, minor: 3 },
    ].map((entry) => ({
      name: `root "${name}" of type ${entry.type}`,
      members: [
        { name, ...entry },
        { name: 'file', content: 'overwritten' },
      ],
    })),
  );
}

export function lies(): readonly HostileLayer[] {
  const pax: readonly Readonly<Record<string, string>>[] = [
    ...['18446744073709551616', '-1', '1e3', ' 5', '0x10', '9223372036854775807', '1000000'].map((size) => ({
      size,
    })),
    { path: 'a\0b' },
    { comment: 'x'.repeat(3 << 20) },
    { uid: '4294967296' },
    { gid: '-2' },
    { mtime: '1e99' },
    { mtime: 'nan' },
    { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '1099511627776' },
    { 'GNU.sparse.map': '0,1', 'GNU.sparse.size': '1099511627776' },
    { path: `${'d/'.repeat(2600)}f` },
    { path: `${'d/'.repeat(900)}f` },
  ];
  const records = ['9999999999 path=x\n', '5 path', '0 a=b\n', 'x path=y\n', '-5 a=b\n', '8 path=x'];
  return [
    ...pax.map((one, index) => ({
      name: `lies ${index}: ${JSON.stringify(one).slice(0, 60)}`,
      members: [{ name: 'f', content: 'x', pax: one }],
    })),
    ...records.map((record) => ({
      name: `record ${JSON.stringify(record)}`,
      members: [
        { name: 'pax', type: 'x', content: record },
        { name: 'f', content: 'x' },
      ],
    })),
    { name: 'a link to a name with a zero', members: [{ name: 'l', type: '2', pax: { linkpath: 'a\0b' } }] },
    { name: 'a link of 5 KB', members: [{ name: 'l', type: '2', pax: { linkpath: 'l'.repeat(5000) } }] },
    { name: 'GNU sparse', members: [{ name: 's', type: 'S', content: 'x' }] },
  ];
}

/** One name in all shapes, so that what is written next meets what was there a moment ago. */
export function shapes(outside: string): readonly HostileLayer[] {
  const all: readonly Member[] = [
    { name: 'n', content: 'file' },
    { name: 'n', type: '2', link: outside },
    { name: 'n/', mode: 0o755 },
    { name: 'n/file', content: 'below' },
    { name: 'n', type: '2', link: outside },
    { name: 'n', type: '6' },
    { name: 'n', type: '2', link: '../../../../../..' },
    { name: 'n', content: 'last' },
  ];
  const through: Member[] = [];
  for (let i = 0; i < 300; i++) {
    through.push({ name: `d${i % 3}/`, mode: 0o755 }, { name: `d${i % 3}/f`, content: `${i}` });
    through.push({ name: `d${i % 3}`, type: '2', link: outside });
    through.push({ name: `d${i % 3}/file`, content: 'overwritten', mode: 0o777, uid: 1 });
  }
  const times: readonly Member[] = [
    { name: 't', type: '2', link: `${outside}/file`, mtime: 1, uid: 7, gid: 7, mode: 0o777 },
    { name: 't', type: '2', link: outside, mtime: 1, uid: 7, gid: 7, mode: 0o777 },
  ];
  return [
    { name: 'all shapes', members: [...all, ...all, ...all] },
    { name: 'directory, link, file', members: through },
    { name: 'times of links', members: times },
  ];
}

export function whiteouts(outside: string): readonly HostileLayer[] {
  const below: readonly Member[] = [
    { name: 'd0/' },
    { name: 'd0/f', content: 'x' },
    { name: 'out', type: '2', link: outside },
  ];
  const names = Array.from({ length: 20_000 }, (_, i) => i);
  return [
    {
      ...{ name: 'opaque directories', below },
      members: names.map((i) => ({ name: `d${i}/.wh..wh..opq`, content: '' })),
    },
    { name: 'whiteouts', below, members: names.map((i) => ({ name: `w/.wh.f${i}`, content: '' })) },
    { name: 'whiteouts through a link', below, members: [{ name: 'out/.wh.file' }, { name: 'out/.wh.sub' }] },
    { name: 'an opaque link', below, members: [{ name: 'out/.wh..wh..opq' }] },
    {
      ...{ name: 'an opaque root', below },
      members: [{ name: '.wh..wh..opq' }, { name: 'new', content: 'x' }],
    },
    { name: 'a whiteout of nothing', below, members: [{ name: '.wh.' }] },
    { name: 'a whiteout of the root', below, members: [{ name: '.wh..' }] },
  ];
}

/** All of them. */
export function hostileLayers(outside: string): readonly HostileLayer[] {
  return [
    ...climbing(outside),
    ...throughLinks(outside),
    ...hardLinks(outside),
    ...wrongRoots(outside),
    ...lies(),
    ...shapes(outside),
    ...whiteouts(outside),
  ];
}
