import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import { resolveUser } from './user.ts';

const passwd =
  'root:x:0:0:root:/root:/bin/sh\n# comment\nbroken:x:abc:0::/:\n app:x:1000:100:App:/home/app:/bin/sh\n7:x:0:0::/evil:\n';
const group = 'root:x:0:\nusers:x:100:\nwheel:x:10:root,app\nodd:x:x:app\n44:x:9:\n';
const resolve = (user: string, groupAdd: string[] = []) => resolveUser({ user, groupAdd, passwd, group });

test('names, numbers, groups', () => {
  assert.deepEqual(resolve(''), { uid: 0, gid: 0, additionalGids: [0, 10], home: '/root' });
  assert.deepEqual(resolve('app'), { uid: 1000, gid: 100, additionalGids: [100, 10], home: '/home/app' });
  assert.deepEqual(resolve('1000:5', ['7']), {
    uid: 1000,
    gid: 5,
    additionalGids: [5, 7],
    home: '/home/app',
  });
  assert.deepEqual(resolve('app:wheel', ['users']), {
    uid: 1000,
    gid: 10,
    additionalGids: [10, 100],
    home: '/home/app',
  });
  assert.deepEqual(resolve('1234'), { uid: 1234, gid: 0, additionalGids: [0], home: '/' });
});

test('a number is an id even where an entry has it as its name', () => {
  assert.equal(resolve('7').uid, 7);
  assert.equal(resolve('app:44').gid, 44);
});

test('errors have the texts of the reference', () => {
  const none = /^EngineError: unable to find user (nosuchuser|broken): no matching entries in passwd file$/;
  assert.throws(() => resolve('nosuchuser'), none);
  assert.throws(() => resolve('broken'), none);
  assert.throws(
    () => resolve('root:nosuchgrp'),
    /unable to find group nosuchgrp: no matching entries in group file/,
  );
  assert.throws(
    () => resolve('root', ['nosuchgrp']),
    /unable to find group nosuchgrp: no matching entries in group file/,
  );
  for (const user of ['99999999999', '-1', '0:2147483648']) {
    assert.throws(() => resolve(user), /^EngineError: uids and gids must be in range 0-2147483647$/);
  }
  assert.throws(() => resolve('99999999999999999999999'), /unable to find user/);
});

test('no files, and a file beyond the limit', () => {
  assert.deepEqual(resolveUser({ user: '', groupAdd: [], passwd: null, group: null }).additionalGids, [0]);
  const long = `${passwd}${'x'.repeat(LIMITS.passwdBytes)}\nlate:x:5:5::/:\n`;
  assert.equal(resolveUser({ user: 'app', groupAdd: [], passwd: long, group: null }).uid, 1000);
  assert.throws(
    () => resolveUser({ user: 'late', groupAdd: [], passwd: long, group: null }),
    /unable to find user late/,
  );
});
