import { nowNanos, rfc3339Nano } from '#base/clock.ts';
import type { ContainerDeps } from './ports.ts';
import type { Entry, Ledger } from './record/ledger.ts';
import type { ExecTable } from './exec/table.ts';
import type { StartDrafts } from './start/drafts.ts';
import type { ImageTrees } from './start/image-trees.ts';

/** What verbs work with; each takes the part it needs. */
export interface Room {
  readonly deps: ContainerDeps;
  readonly ledger: Ledger;
  readonly execs: ExecTable;
  readonly imageTrees: ImageTrees;
  readonly drafts: StartDrafts;
}

/** Now, as records keep times. */
export function now(): string {
  return rfc3339Nano(nowNanos());
}

/** Tells the world a fact about a container: its labels, image and name go along. */
export function tell(
  room: Pick<Room, 'deps'>,
  entry: Entry,
  fact: { action: string; attributes?: Readonly<Record<string, string>> },
): void {
  const { config, name, id } = entry.record;
  room.deps.emit({
    action: fact.action,
    id,
    attributes: { ...config.Labels, ...fact.attributes, image: config.Image, name },
    timeNanos: nowNanos(),
  });
}
