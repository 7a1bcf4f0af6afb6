import { readdirSync, readFileSync } from 'node:fs';
import type { Threads } from '../threads.ts';
import type { Sys } from './sys.ts';

const PRIO_PROCESS = 0;
/** What getpriority(2) gives as a system call is 20 less the nice value. */
const PRIORITY_ZERO = 20;
const LEAST = 19;
/** A thread that computes for seconds has a tenth of a processor beside one that does not. */
const WORKER_STEPS = 10;
/** As V8's threads are named: they collect garbage and compile, and the main thread waits for them. */
const COMPUTING_THREAD = 'node-V8Worker';

/* struct sched_attr, as of its first version. */
const ATTR_BYTES = 48;
const ATTR = { policy: 4, flags: 8, nice: 16, priority: 20, runtime: 24 } as const;
const RESET_ON_FORK = 0x01n;
const SLICE_NANOS = 100_000n;
const ROUND_ROBIN = 2;
const URGENCY = { computing: 1, main: 2 } as const;

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
  const niceOfThis = (): number => PRIORITY_ZERO - sys.raw('getpriority', PRIO_PROCESS, 0);
  const schedule = (tid: number, write: (attr: Buffer) => void): void => {
    const attr = Buffer.alloc(ATTR_BYTES);
    attr.writeUInt32LE(ATTR_BYTES);
    attr.writeBigUInt64LE(RESET_ON_FORK, ATTR.flags);
    write(attr);
    sys.raw('sched_setattr', tid, attr, 0);
  };
  const ordinary = (tid: number, slice: bigint): void =>
    schedule(tid, (attr) => {
      attr.writeInt32LE(niceOfThis(), ATTR.nice);
      attr.writeBigUInt64LE(slice, ATTR.runtime);
    });
  const urgent = (tid: number, priority: number): void =>
    schedule(tid, (attr) => {
      attr.writeUInt32LE(ROUND_ROBIN, ATTR.policy);
      attr.writeUInt32LE(priority, ATTR.priority);
    });
  let computing: readonly number[] = [];
  let asked = 0;
  const hurry = (): void => {
    // A nice value would not do: it holds within a session or a cgroup, others have their share all the same.
    urgent(0, URGENCY.main);
    for (const tid of computing) urgent(tid, URGENCY.computing);
  };
  const calm = (): void => {
    ordinary(0, SLICE_NANOS);
    for (const tid of computing) ordinary(tid, 0n);
  };
  return {
    giveWay: () => void sys.raw('setpriority', PRIO_PROCESS, 0, Math.min(LEAST, niceOfThis() + WORKER_STEPS)),
    favourMain() {
      // They live as long as the process.
      computing = computingThreads();
      ordinary(0, SLICE_NANOS);
    },
    mainFirst() {
      if (asked++ === 0) hurry();
      let isOver = false;
      return () => {
        if (isOver) return;
        isOver = true;
        if (--asked === 0) calm();
      };
    },
  };
}
