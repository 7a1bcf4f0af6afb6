import { until } from '../support/command.ts';
import type { TestDaemon } from '../support/daemon.ts';
import { findLeaks } from '../support/leaks.ts';
import type { Entry } from './ledger.ts';
import { violationsOf, type Violation } from './rules.ts';
import { takeWitness } from './witness.ts';

/** Rules that need a moment (an exit arriving, an auto-remove) get ten seconds to come true. */
export async function settledViolations(daemon: TestDaemon, entries: readonly Entry[]): Promise<Violation[]> {
  let violations: Violation[] = [];
  await until(
    async () => {
      violations = violationsOf(entries, await takeWitness(daemon));
      return violations.length === 0 ? true : undefined;
    },
    { timeoutMs: 10_000, what: 'every rule holds' },
  ).catch(() => undefined);
  return violations;
}

/** R2, S7, S8: everything can be removed, nothing is left of it, a removed container's name is free. */
export async function removeEverything(
  daemon: TestDaemon,
  entries: readonly Entry[],
  image: string,
): Promise<Violation[]> {
  const violations: Violation[] = [];
  await daemon.removeAll();
  const left = (await daemon.api('/containers/json?all=1')).json as { Id: string; Status: string }[];
  for (const container of left)
    violations.push({
      rule: 'S7',
      text: `${container.Id.slice(0, 12)} cannot be removed: ${container.Status}`,
    });
  for (const leak of await findLeaks(daemon)) violations.push({ rule: 'R2', text: `left behind: ${leak}` });
  const name = entries[0]?.name;
  if (name === undefined) return violations;
  const again = await daemon.api(`/containers/create?name=${name}`, {
    method: 'POST',
    body: { Image: image },
  });
  if (again.status !== 201)
    violations.push({ rule: 'S8', text: `the name ${name} is not free: ${again.body.toString()}` });
  await daemon.removeAll();
  return violations;
}
