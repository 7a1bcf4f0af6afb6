import { readdirSync, readFileSync } from 'node:fs';
import type { Threads } from '../threads.ts';
import type { Sys } from './sys.ts';

const PRIO_PROCESS = 0;
/** What getpriority(2) gives as a system call is 20 less the nice value. */
const PRIORITY_ZERO = 20;
const LEAST = 19;
/** A thread that computes for seconds has a tenth of a processor beside one that does not. */
const WORKER_STEPS = 10;
const COMPUTING_STEPS = 5;
/** As V8's threads are named. Those of libuv's pool do what requests wait for: they keep their turn. */
const COMPUTING_THREAD = 'node-V8Worker';

/* struct sched_attr, as of its first version. */
const ATTR_BYTES = 48;
const ATTR = { flags: 8, nice: 16, runtime: 24 } as const;
const RESET_ON_FORK = 0x01n;
const SLICE_NANOS = 100_000n;

function computingThreads(): readonly number[] {
  return readdirSync('/proc/self/task')
    .filter((tid) => {
      try {
        return readFileSync(`/proc/self/task/${tid}/comm`, 'utf8').trim() === COMPUTING_THREAD;
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** Which threads of this process go first. What the kernel refuses is left as it is. */
export function createThreads(sys: Sys): Threads {
  const niceOf = (tid: number): number => PRIORITY_ZERO - sys.raw('getpriority', PRIO_PROCESS, tid);
  const lower = (tid: number, steps: number): void => {
    sys.raw('setpriority', PRIO_PROCESS, tid, Math.min(LEAST, niceOf(0) + steps));
  };
  return {
    giveWay: () => lower(0, WORKER_STEPS),
    favourMain() {
      const attr = Buffer.alloc(ATTR_BYTES);
      attr.writeUInt32LE(ATTR_BYTES);
      attr.writeBigUInt64LE(RESET_ON_FORK, ATTR.flags);
      attr.writeInt32LE(niceOf(0), ATTR.nice);
      attr.writeBigUInt64LE(SLICE_NANOS, ATTR.runtime);
      sys.raw('sched_setattr', 0, attr, 0);
      for (const tid of computingThreads()) lower(tid, COMPUTING_STEPS);
    },
  };
}
