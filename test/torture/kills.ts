import { randomInt } from 'node:crypto';
import { startDaemon, type DaemonOptions, type TestDaemon } from '../support/daemon.ts';
import { until } from '../support/command.ts';
import { runClients, seeded } from './clients.ts';
import { Ledger, type Entry } from './ledger.ts';
import { violationsOf, type Violation } from './rules.ts';
import { takeWitness } from './witness.ts';

export interface KillOptions {
  readonly kills: number;
  readonly archive: string;
  readonly image: string;
  readonly seed?: number;
  readonly daemon?: DaemonOptions;
  /** Hears of each round. */
  readonly report?: (line: string) => void;
}

/** Rules that need a moment (an exit arriving, an auto-remove) get ten seconds to come true. */
async function settledViolations(daemon: TestDaemon, entries: readonly Entry[]): Promise<Violation[]> {
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

/** S7 and S8: everything can be removed, and a removed container's name is free. */
async function removeEverything(
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

/**
 * Kills the daemon at random moments under four clients, starts it again, and holds what was promised against
 * what is.
 */
export async function killRepeatedly(
  options: KillOptions,
): Promise<{ violations: Violation[]; acknowledged: number; seed: number }> {
  const seed = options.seed ?? randomInt(1 << 30);
  const random = seeded(seed);
  const ledger = new Ledger();
  const violations: Violation[] = [];
  await using daemon = await startDaemon(options.daemon ?? {});
  await daemon.loadImage(options.archive);
  for (let round = 0; round < options.kills; round++) {
    const clients = runClients({ daemon, ledger, image: options.image, random, round });
    await new Promise((resolve) => setTimeout(resolve, 100 + random() * 900));
    await daemon.kill('SIGKILL');
    await clients;
    await daemon.start();
    const found = await settledViolations(daemon, ledger.entries);
    for (const text of ledger.unexpected.splice(0)) found.push({ rule: 'API', text });
    options.report?.(`kill ${round + 1}: ${ledger.acknowledged} acknowledged, ${found.length} violations`);
    violations.push(...found);
    if (found.length > 0) break;
    if (ledger.entries.length > 150) {
      violations.push(...(await removeEverything(daemon, ledger.entries, options.image)));
      ledger.entries.length = 0;
    }
  }
  violations.push(...(await removeEverything(daemon, ledger.entries, options.image)));
  return { violations, acknowledged: ledger.acknowledged, seed };
}
