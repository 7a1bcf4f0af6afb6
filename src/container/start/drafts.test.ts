import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ContainerId } from '#base/ids.ts';
import { LIMITS } from '#base/limits.ts';
import type { ContainerSpec, SpecInput } from '#runtime/spec.ts';
import { StartDrafts } from './drafts.ts';

const id = (n: number): ContainerId => n.toString(16).padStart(64, '0') as ContainerId;
const input = (args: string[]): SpecInput => ({ args }) as unknown as SpecInput;
const spec = (): ContainerSpec => ({ ociVersion: '1.2.0' }) as unknown as ContainerSpec;

test('a draft serves one start that would be built from the same', () => {
  const drafts = new StartDrafts();
  const made = spec();
  drafts.keep(id(1), input(['true']), made);
  assert.equal(drafts.take(id(2), input(['true'])), undefined);
  assert.equal(drafts.take(id(1), input(['true'])), made);
  assert.equal(drafts.take(id(1), input(['true'])), undefined, 'the second start finds none');
});

test('a draft that was made from something else is thrown away', () => {
  const drafts = new StartDrafts();
  drafts.keep(id(1), input(['true']), spec());
  assert.equal(drafts.take(id(1), input(['false'])), undefined);
  assert.equal(drafts.take(id(1), input(['true'])), undefined);
});

test('only the latest drafts are kept', () => {
  const drafts = new StartDrafts();
  for (let n = 0; n <= LIMITS.startDrafts; n++) drafts.keep(id(n), input([]), spec());
  assert.equal(drafts.take(id(0), input([])), undefined);
  assert.notEqual(drafts.take(id(1), input([])), undefined);
});
