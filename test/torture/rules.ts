import type { Entry } from './ledger.ts';

/** What the API and the kernel say at one moment, when nothing is in progress. */
export interface Witness {
  readonly listed: readonly ListedContainer[];
  /** Container id → process ids in its cgroup. */
  readonly cgroupProcesses: ReadonlyMap<string, readonly number[]>;
  /** Container ids that a living shim names. */
  readonly shims: readonly string[];
  /** Container ids with a folder in the exec root. */
  readonly taskFolders: readonly string[];
  /** Process ids that exist. */
  readonly alive: ReadonlySet<number>;
}

export interface ListedContainer {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly pid: number;
  readonly exitCode: number;
  readonly finishedAt: string;
  readonly autoRemove: boolean;
}

export interface Violation {
  readonly rule: string;
  readonly text: string;
}

function checkEntry(entry: Entry, found: ListedContainer | undefined): Violation[] {
  const violations: Violation[] = [];
  const say = (rule: string, text: string): void =>
    void violations.push({ rule, text: `${entry.name}: ${text}` });
  if (
    entry.create === 'acknowledged' &&
    entry.remove === 'no' &&
    entry.kind !== 'vanisher' &&
    found === undefined
  ) {
    say('S1', 'its creation was acknowledged, nobody removed it, and it is not listed');
  }
  if (entry.remove === 'acknowledged' && found !== undefined)
    say('S2', `its removal was acknowledged and it is ${found.status}`);
  if (found === undefined) return violations;
  if (entry.stop === 'acknowledged' && entry.remove === 'no' && found.status !== 'exited')
    say('S10', `it was stopped, and it is ${found.status}`);
  const started = entry.start === 'acknowledged' && entry.stop === 'no' && entry.remove === 'no';
  if (entry.kind === 'sleeper' && started) {
    if (found.status !== 'running')
      say('S3', `it was started and nobody stopped it, but it is ${found.status}`);
    else if (entry.pid !== undefined && entry.pid !== found.pid)
      say('S3', `its process was ${entry.pid} and is ${found.pid}`);
  }
  if (entry.kind === 'exiter' && started) {
    if (found.status !== 'exited') say('S5', `it ended by itself, but it is ${found.status}`);
    else if (found.exitCode !== entry.exitCode)
      say('S5', `it ended with ${entry.exitCode}, the engine says ${found.exitCode}`);
    else if (found.finishedAt.startsWith('0001')) say('S5', 'it has no time of its end');
  }
  if (entry.kind === 'vanisher' && started)
    say('S6', `it ended by itself and should be gone, but it is ${found.status}`);
  return violations;
}

function checkKernel(witness: Witness): Violation[] {
  const violations: Violation[] = [];
  const byId = new Map(witness.listed.map((container) => [container.id, container]));
  for (const container of witness.listed) {
    if (container.status === 'running' && !witness.alive.has(container.pid)) {
      violations.push({
        rule: 'S4',
        text: `${container.name}: a ghost: running, but process ${container.pid} does not exist`,
      });
    }
    if (container.status === 'removing' || container.status === 'dead') {
      violations.push({ rule: 'S7', text: `${container.name}: stuck in ${container.status}` });
    }
  }
  const isRunning = (id: string): boolean => byId.get(id)?.status === 'running';
  for (const [id, pids] of witness.cgroupProcesses) {
    if (pids.length > 0 && !isRunning(id)) {
      violations.push({
        rule: 'S4',
        text: `orphans: ${pids.join(' ')} of ${id.slice(0, 12)}, which is not running`,
      });
    } else if (!byId.has(id))
      violations.push({ rule: 'R2', text: `cgroup of ${id.slice(0, 12)}, which is not listed` });
  }
  for (const id of witness.shims) {
    if (!isRunning(id))
      violations.push({ rule: 'R2', text: `shim of ${id.slice(0, 12)}, which is not running` });
  }
  for (const id of witness.taskFolders) {
    if (!byId.has(id))
      violations.push({ rule: 'R2', text: `runtime files of ${id.slice(0, 12)}, which is not listed` });
  }
  return violations;
}

/** Holds the ledger, the API and the kernel against each other; an empty list when every rule holds. Pure. */
export function violationsOf(entries: readonly Entry[], witness: Witness): Violation[] {
  const byName = new Map(witness.listed.map((container) => [container.name, container]));
  return [...entries.flatMap((entry) => checkEntry(entry, byName.get(entry.name))), ...checkKernel(witness)];
}
