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
  /** Container ids that links of this engine name. */
  readonly links: readonly string[];
  /** Names of network namespaces in the exec root. */
  readonly sandboxes: readonly string[];
  /** Where published ports lead, by the firewall. */
  readonly publishedAddresses: readonly string[];
  /** Mount points that the host sees below the engine's folders: there are none. */
  readonly mounts: readonly string[];
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
  /** On the bridge; empty when it has none. */
  readonly address: string;
  /** Name of its network namespace in the exec root. */
  readonly sandbox: string;
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

/** Links, network namespaces, ports and mounts belong to a container that runs. */
function checkNetwork(witness: Witness): Violation[] {
  const running = witness.listed.filter((container) => container.status === 'running');
  const of = (key: 'id' | 'sandbox' | 'address'): Set<string> => new Set(running.map((c) => c[key]));
  const strangers = (what: string, found: readonly string[], known: ReadonlySet<string>): Violation[] =>
    found
      .filter((one) => !known.has(one))
      .map((one) => ({ rule: 'R2', text: `${what} ${one.slice(0, 40)} belongs to nobody who runs` }));
  const lonely = running.filter((c) => c.address !== '' && !witness.links.includes(c.id));
  return [
    ...strangers('the link of', witness.links, of('id')),
    ...strangers('the network namespace', witness.sandboxes, of('sandbox')),
    ...strangers('a published port of', witness.publishedAddresses, of('address')),
    ...strangers('the mount', witness.mounts, new Set()),
    ...lonely.map((c) => ({ rule: 'S4', text: `${c.name}: running with ${c.address} and without a link` })),
  ];
}

/** Holds the ledger, the API and the kernel against each other; an empty list when every rule holds. Pure. */
export function violationsOf(entries: readonly Entry[], witness: Witness): Violation[] {
  const byName = new Map(witness.listed.map((container) => [container.name, container]));
  return [
    ...entries.flatMap((entry) => checkEntry(entry, byName.get(entry.name))),
    ...checkKernel(witness),
    ...checkNetwork(witness),
  ];
}

const addressNumber = (address: string): number =>
  address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);

/**
 * S8: freed addresses that were not given out though higher ones were. The lowest free address is given
 * first, so somebody still holds these.
 */
export function passedOver(freed: ReadonlySet<string>, given: ReadonlySet<string>): string[] {
  const highest = Math.max(0, ...[...given].filter((address) => address !== '').map(addressNumber));
  return [...freed].filter((address) => addressNumber(address) < highest && !given.has(address));
}
