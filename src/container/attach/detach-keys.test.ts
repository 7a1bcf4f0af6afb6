import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DetachDetector, parseDetachKeys } from './detach-keys.ts';

test('keys are parsed as the command line writes them', () => {
  assert.deepEqual([...(parseDetachKeys('') ?? [])], [16, 17]);
  assert.deepEqual([...(parseDetachKeys('ctrl-a,x') ?? [])], [1, 120]);
  assert.deepEqual([...(parseDetachKeys('ctrl-[') ?? [])], [27]);
  assert.equal(parseDetachKeys('bogus-x'), null);
  assert.equal(parseDetachKeys('ctrl-é'), null);
});

test('the sequence is found across chunks, a false start is passed on', () => {
  const detector = new DetachDetector(Uint8Array.of(16, 17));
  assert.deepEqual([...detector.feed(Uint8Array.of(65, 16)).data], [65]);
  assert.deepEqual(detector.feed(Uint8Array.of(66)), { data: Uint8Array.of(16, 66), detached: false });
  assert.deepEqual(detector.feed(Uint8Array.of(16)), { data: new Uint8Array(), detached: false });
  // A second first key starts the sequence again.
  assert.deepEqual([...detector.feed(Uint8Array.of(16)).data], [16]);
  assert.equal(detector.feed(Uint8Array.of(17, 99)).detached, true);
});
