/** Nodes, links and directories that a plan makes in the root, also in roots that mean harm. */
import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Operation } from '../../../src/runtime/launch-plan/operations.ts';
import { errno, mountDev, node, ROOT, S_IFCHR, Sandbox } from './sandbox.ts';

const EEXIST = errno['EEXIST'] ?? 0;

test('owners change by descriptor and by path, without following the last link', (t) => {
  const box = new Sandbox(t);
  box.file('owned');
  box.link('link', '/owned');
  const owner = (at: number, path: string, uid: number): Operation => ({
    op: 'changeOwner',
    at,
    path,
    uid,
    gid: 1,
  });
  const script = 'stat -c %u:%g /owned; stat -c %u /link';
  assert.deepEqual(box.lines({ outside: [owner(ROOT, '/owned', 3), owner(ROOT, '/link', 4)], script }), [
    '3:1',
    '4',
  ]);
  assert.equal(box.fails({ outside: [owner(ROOT, '/none', 1)] }, 'ENOENT'), 'changeOwner: openat2: /none');
});

test('nodes are made with mode and owner, whatever the umask; the same again is no failure', (t) => {
  const box = new Sandbox(t);
  const made: Operation = { ...node('/dev/full', 1, 7), uid: 4, gid: 5 } as Operation;
  const list = "stat -c '%A %u %g %t:%T' /dev/full";
  const outside = [...mountDev, made, made];
  assert.equal(box.output({ outside, script: list }), 'crw-rw-rw- 4 5 1:7\n');
  const other = node('/dev/full', 1, 5);
  assert.equal(box.fails({ outside: [...outside, other] }, 'EEXIST'), 'makeNode: mknodat: /dev/full');
  assert.match(
    box.fails({ outside: [{ ...other, path: '/dev/..' } as Operation] }, 'EINVAL'),
    /^makeNode: openat2/,
  );
});

test('a /dev that leads elsewhere gets its nodes and links inside of the root', (t) => {
  const box = new Sandbox(t);
  const away = join(box.directory, 'away');
  mkdirSync(away);
  box.link('dev', away);
  const link: Operation = { op: 'makeLink', root: ROOT, path: '/dev/fd', target: '/proc/self/fd' };
  box.output({ outside: [node('/dev/null', 1, 3), link] });
  assert.deepEqual(readdirSync(away), []);
  assert.equal(lstatSync(box.path(away, 'null')).mode & 0o170000, S_IFCHR);
  assert.equal(readlinkSync(box.path(away, 'fd')), '/proc/self/fd');
  assert.equal(box.fails({ outside: [link] }, 'EEXIST'), 'makeLink: symlinkat: /dev/fd');
  box.output({ outside: [{ ...link, ignore: [EEXIST] }] });
});

test('a link in the place of a node is neither followed nor taken for it', (t) => {
  const box = new Sandbox(t);
  box.directoryAt('dev');
  box.link('dev/null', join(box.directory, 'victim'));
  assert.equal(box.fails({ outside: [node('/dev/null', 1, 3)] }, 'EEXIST'), 'makeNode: mknodat: /dev/null');
  assert.deepEqual(readdirSync(box.directory).toSorted(), ['report', 'root']);
});

test('paths are made through links of the root, not through files', (t) => {
  const box = new Sandbox(t);
  box.link('way', '/made/here');
  box.file('file');
  const path = (name: string): Operation => ({ op: 'makePath', root: ROOT, path: name });
  box.output({ outside: [path('/way/deep'), path('/way/deep')] });
  assert.ok(statSync(box.path('made/here/deep')).isDirectory());
  assert.equal(box.fails({ outside: [path('/file/x')] }, 'ENOTDIR'), 'makePath: mkdirat: /file/x');
});
