import { until } from '../support/command.ts';
import type { TestDaemon } from '../support/daemon.ts';
import { findLeaks } from '../support/leaks.ts';
import type { Entry } from './ledger.ts';
import { passedOver, violationsOf, type Violation } from './rules.ts';
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

interface Running {
  readonly Ports: readonly { readonly PublicPort?: number }[];
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>> };
}

interface Held {
  readonly ports: readonly number[];
  readonly addresses: ReadonlySet<string>;
}

/** Host ports and addresses of what runs. */
async function heldResources(daemon: TestDaemon): Promise<Held> {
  const running = (await daemon.api('/containers/json')).json as Running[];
  const ports = running.flatMap((one) => one.Ports.map((port) => port.PublicPort ?? 0));
  const addresses = running.flatMap((one) =>
    Object.values(one.NetworkSettings.Networks).map((network) => network.IPAddress),
  );
  return {
    ports: [...new Set(ports.filter((port) => port !== 0))],
    addresses: new Set(addresses.filter((address) => address !== '')),
  };
}

/** As many of the removed names' new containers are started, with the freed ports. */
const STARTED_AGAIN = 5;

/** Every removed name, and a sample of the freed ports and addresses, is used again; then all goes away. */
async function useAgain(
  daemon: TestDaemon,
  names: readonly string[],
  { image, held }: { readonly image: string; readonly held: Held },
): Promise<Violation[]> {
  const violations: Violation[] = [];
  const given = new Set<string>();
  const ExposedPorts = { '80/tcp': {} };
  for (const [index, name] of names.entries()) {
    const port = held.ports[index];
    const PortBindings =
      port === undefined || index >= STARTED_AGAIN ? {} : { '80/tcp': [{ HostPort: `${port}` }] };
    const body = { Image: image, Cmd: ['sleep', '86400'], ExposedPorts, HostConfig: { PortBindings } };
    const made = await daemon.api(`/containers/create?name=${name}`, { method: 'POST', body });
    if (made.status !== 201)
      violations.push({ rule: 'S8', text: `the name ${name} is not free: ${made.body.toString()}` });
    if (made.status !== 201 || index >= STARTED_AGAIN) continue;
    const started = await daemon.api(`/containers/${name}/start`, { method: 'POST' });
    if (started.status !== 204)
      violations.push({ rule: 'S8', text: `port ${port} is not free: ${started.body.toString()}` });
    const answer = await daemon.api(`/containers/${name}/json`);
    given.add((answer.json as { NetworkSettings: { IPAddress: string } }).NetworkSettings.IPAddress);
  }
  for (const address of passedOver(held.addresses, given))
    violations.push({ rule: 'S8', text: `the address ${address} is not free` });
  await daemon.removeAll();
  return violations;
}

/**
 * R2, S7, S8: everything can be removed, nothing is left of it, the names, ports and addresses of what was
 * removed are free.
 */
export async function removeEverything(
  daemon: TestDaemon,
  entries: readonly Entry[],
  image: string,
): Promise<Violation[]> {
  const violations: Violation[] = [];
  const held = await heldResources(daemon);
  await daemon.removeAll();
  const left = (await daemon.api('/containers/json?all=1')).json as { Id: string; Status: string }[];
  for (const container of left)
    violations.push({
      rule: 'S7',
      text: `${container.Id.slice(0, 12)} cannot be removed: ${container.Status}`,
    });
  for (const leak of await findLeaks(daemon)) violations.push({ rule: 'R2', text: `left behind: ${leak}` });
  const names = entries.map((entry) => entry.name);
  return [...violations, ...(await useAgain(daemon, names, { image, held }))];
}
