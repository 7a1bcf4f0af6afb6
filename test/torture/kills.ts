import { randomInt } from 'node:crypto';
import { startDaemon, type DaemonOptions } from '../support/daemon.ts';
import { removeEverything, settledViolations } from './checks.ts';
import { runClients, seeded } from './clients.ts';
import { Ledger } from './ledger.ts';
import type { Violation } from './rules.ts';

export interface KillOptions {
  readonly kills: number;
  readonly archive: string;
  readonly image: string;
  readonly seed?: number;
  readonly daemon?: DaemonOptions;
  /** Hears of each round. */
  readonly report?: (line: string) => void;
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
