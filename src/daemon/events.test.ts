import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import { createEventsService } from './events.ts';

test('so many events are remembered, the newest', () => {
  const events = createEventsService();
  const count = LIMITS.eventHistory + 10;
  for (let i = 0; i < count; i++)
    events.emit({ type: 'container', action: 'start', id: `c${i}`, attributes: {}, timeNanos: BigInt(i) });
  const past = events.past({ since: 0n, until: null });
  assert.equal(past.length, LIMITS.eventHistory);
  assert.deepEqual([past[0]?.id, past.at(-1)?.id], ['c10', `c${count - 1}`]);
});

test('who has unsubscribed hears nothing more', () => {
  const events = createEventsService();
  const heard: string[] = [];
  const end = events.subscribe((event) => heard.push(event.id));
  const emit = (id: string): void =>
    events.emit({ type: 'image', action: 'tag', id, attributes: {}, timeNanos: 1n });
  emit('one');
  assert.equal(events.listeners(), 1);
  end();
  emit('two');
  assert.deepEqual(heard, ['one']);
  assert.equal(events.listeners(), 0);
});
