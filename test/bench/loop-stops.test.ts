import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readStops } from './loop-stops.ts';

const line = (ms: number, by: number, event: string): string =>
  `  node-MainThread-${by}   [000] d..2. ${(1000 + ms / 1000).toFixed(6)}: ${event}`;
const enter = (ms: number): string => line(ms, 7, 'sys_epoll_pwait(epfd: 0x10, timeout: 0x14)');
const leave = (ms: number): string => line(ms, 7, 'sys_epoll_pwait -> 0x1');
const wake = (ms: number): string => line(ms, 9, 'sched_wakeup: comm=node pid=7 prio=120 target_cpu=000');
const out = (ms: number, state: string): string =>
  line(ms, 7, `sched_switch: prev_comm=node prev_pid=7 prev_prio=120 prev_state=${state} ==> next_pid=9 x`);
const into = (ms: number): string =>
  line(ms, 9, 'sched_switch: prev_comm=x prev_pid=9 prev_prio=1 prev_state=R ==> next_pid=7 next_prio=120');

test('a stop begins when the thread is woken, and what it waits for is told apart', () => {
  const trace = [
    ...[enter(0), out(1, 'S'), wake(10), into(12), leave(12), out(15, 'R+'), into(19), enter(20)],
    ...[out(21, 'S'), wake(30), into(30), leave(30), out(31, 'D'), wake(36), into(36), enter(37)],
    ...[leave(37), enter(38)],
  ].join('\n');
  const stops = readStops(trace, 7, 100);
  const rounded = stops.all.map(({ ms, ranMs, queuedMs }) => [ms, ranMs, queuedMs].map(Math.round));
  assert.deepEqual(rounded, [
    [10, 4, 6],
    [7, 2, 0],
    [1, 1, 0],
  ]);
  assert.equal(Math.round(stops.longest.ms), 10);
  assert.equal(Math.round(stops.longestWithoutQueueMs), 7);
});

test('a stop that has not ended counts as far as it was seen', () => {
  const trace = [enter(0), out(1, 'S'), wake(10), into(10), leave(10), out(25, 'R+')].join('\n');
  assert.equal(Math.round(readStops(trace, 7, 100).longest.ms), 15);
});

test('the wait that 999 of 1000 moments do not exceed', () => {
  const stop = (at: number, ms: number): string[] => [leave(at), enter(at + ms)];
  // In 10 seconds, 10 ms may wait for longer: the last ones before a stop of 20 and two of 10 end.
  const trace = [enter(0), ...stop(100, 20), ...stop(200, 10), ...stop(300, 10)].join('\n');
  assert.equal(Math.round(readStops(trace, 7, 10_000).p999Ms), 10);
  assert.equal(readStops(enter(0), 7, 10_000).p999Ms, 0);
});
