import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextRange, resolveRemap, wantsDefaultUser, type AccountFiles } from './userns-remap.ts';

const FILES: AccountFiles = {
  passwd: 'root:x:0:0::/root:/bin/sh\ndaemon:x:1:1::/:/bin/false\nalice:x:1000:1000::/:/bin/sh\n',
  group: 'root:x:0:\ndaemon:x:1:\nusers:x:100:\nalice:x:1000:\n',
  subuid: '# a comment\nalice:200000:65536\n1000:400000:1000\n\nbob:1:1\n',
  subgid: 'alice:300000:65536\n',
};
const ALICE = {
  user: 'alice',
  group: 'alice',
  mappings: {
    uids: [
      { containerId: 0, hostId: 200_000, size: 65_536 },
      { containerId: 65_536, hostId: 400_000, size: 1000 },
    ],
    gids: [{ containerId: 0, hostId: 300_000, size: 65_536 }],
  },
  root: { uid: 200_000, gid: 300_000 },
};

test('a user by name and number; every range of theirs, one after the other', () => {
  for (const wish of ['alice', '1000', 'alice:alice', '1000:1000', 'alice:1000'])
    assert.deepEqual(resolveRemap(wish, FILES), ALICE, wish);
  assert.deepEqual(resolveRemap('alice:users', FILES), { ...ALICE, group: 'users' });
});

test('root is nobody else, and default is dockremap', () => {
  assert.equal(resolveRemap('root', FILES), null);
  assert.equal(resolveRemap('0', FILES), null);
  assert.equal(wantsDefaultUser('default', FILES), true);
  assert.equal(wantsDefaultUser('alice', FILES), false);
  const made: AccountFiles = {
    passwd: `${FILES.passwd}dockremap:x:995:994::/:/bin/false\n`,
    group: `${FILES.group}dockremap:x:994:\n`,
    subuid: 'dockremap:100000:65536\n',
    subgid: 'dockremap:100000:65536\n',
  };
  assert.equal(wantsDefaultUser('default', made), false);
  assert.deepEqual(resolveRemap('default', made)?.root, { uid: 100_000, gid: 100_000 });
});

const REFUSED: readonly (readonly [string, string])[] = [
  ['a:b:c', 'Invalid user/group specification in --userns-remap: "a:b:c"'],
  ['nosuch', 'Error during uid lookup for "nosuch": getent unable to find entry "nosuch" in passwd database'],
  ['99999', 'Uid 99999 has no entry in /etc/passwd: getent unable to find entry "99999" in passwd database'],
  [
    'daemon:77777',
    'Gid 77777 has no entry in /etc/passwd: getent unable to find entry "77777" in group database',
  ],
  [
    'daemon:nosuch',
    'Error during groupname lookup for "nosuch": getent unable to find entry "nosuch" in group database',
  ],
  ['daemon', `Can't create ID mappings: no subuid ranges found for user "daemon"`],
  ['1:1', `Can't create ID mappings: no subuid ranges found for user "daemon"`],
];
for (const [wish, message] of REFUSED) {
  test(`refused: ${wish}`, () => assert.throws(() => resolveRemap(wish, FILES), { message }));
}

test('ranges that are none are refused, also ids of the host root', () => {
  for (const range of ['alice:0:65536', 'alice:x:1', 'alice:1:0', 'alice:1', 'alice:4294967000:1000']) {
    const message = `Can't create ID mappings: invalid subordinate id range ${JSON.stringify(range)}`;
    assert.throws(() => resolveRemap('alice', { ...FILES, subuid: range }), { message });
  }
});

test('a new range lies behind the others', () => {
  assert.deepEqual(nextRange(''), { first: 100_000, last: 165_535 });
  assert.deepEqual(nextRange(FILES.subuid), { first: 401_000, last: 466_535 });
});
