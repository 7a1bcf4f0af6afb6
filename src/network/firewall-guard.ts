import { errorMessage } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { FirewallOperation, TableAddress } from '#host/firewall-operations.ts';
import type { Kernel, Watch } from '#host/kernel.ts';
import { planWayThrough, type ForeignChain } from './firewall-neighbours.ts';
import {
  expectedElements,
  isForwarded,
  planPorts,
  planTable,
  type FirewallShape,
  type PortForward,
} from './firewall-plan.ts';
import type { FirewallFinding } from './model.ts';

export interface FirewallGuardOptions {
  readonly kernel: Pick<Kernel, 'firewall'>;
  readonly log: Log;
  readonly shape: FirewallShape;
  /** `own` puts one accept in front of other people's drop. */
  readonly mode: 'own' | 'respect';
}

/** A burst of foreign commits is looked at once. */
const SETTLE_MS = 100;

/**
 * Keeps our table what it must be: writes it, adds and removes ports, and writes it again when somebody
 * flushed it. The look at a foreign change costs a list of chains and of our own rules and elements, never
 * the whole ruleset.
 */
export class FirewallGuard {
  readonly #options: FirewallGuardOptions;
  readonly #table: TableAddress;
  readonly #ports = new Map<string, readonly PortForward[]>();
  #watch: Watch | null = null;
  #timer: NodeJS.Timeout | null = null;
  #findings: readonly FirewallFinding[] = [];

  constructor(options: FirewallGuardOptions) {
    this.#options = options;
    this.#table = { family: 'inet', name: options.shape.name };
  }

  get started(): boolean {
    return this.#watch !== null;
  }

  get findings(): readonly FirewallFinding[] {
    return this.#findings;
  }

  /**
   * Writes the table with the ports of containers that run on: one transaction, so that no port is closed in
   * between.
   */
  start(restored: ReadonlyMap<string, readonly PortForward[]>): void {
    for (const [owner, ports] of restored) this.#ports.set(owner, ports);
    this.#write();
    this.#lookAround();
    this.#watch ??= this.#options.kernel.firewall.watch(() => this.#schedule());
  }

  publish(owner: string, ports: readonly PortForward[]): void {
    if (ports.length === 0) return;
    this.#ports.set(owner, ports);
    try {
      this.#commitPorts('addElements', ports);
    } catch (error) {
      // Flushed a moment ago, perhaps: the whole table tells. What is still wrong then is the caller's to
      // hear.
      this.#options.log.debug('publishing a port failed at first', { error: errorMessage(error) });
      try {
        this.#write();
      } catch (second) {
        this.#ports.delete(owner);
        throw second;
      }
    }
    this.#forgetUdp(ports);
  }

  withdraw(owner: string): void {
    const ports = this.#ports.get(owner) ?? [];
    if (!this.#ports.delete(owner) || ports.length === 0) return;
    try {
      this.#commitPorts('deleteElements', ports);
    } catch (error) {
      this.#options.log.debug('withdrawing a port found the table changed', { error: errorMessage(error) });
      this.#schedule();
    }
    this.#forgetUdp(ports);
  }

  /** True when the table in the kernel is whole. */
  isWhole(): boolean {
    const { firewall } = this.#options.kernel;
    if (!firewall.tables().some((t) => t.family === 'inet' && t.name === this.#table.name)) return false;
    const all = this.#all();
    const plan = planTable(this.#options.shape, []);
    const rules = plan.filter((operation) => operation.kind === 'addRule').length;
    const chains = plan.filter((operation) => operation.kind === 'addChain').length;
    const dump = firewall.dump(this.#table);
    const mine = (table: TableAddress): boolean => table.family === 'inet' && table.name === this.#table.name;
    if (dump.rules.filter((rule) => mine(rule.table)).length !== rules) return false;
    if (dump.chains.filter((chain) => mine(chain.table)).length !== chains) return false;
    for (const [set, count] of expectedElements(this.#options.shape, all)) {
      if (firewall.elements(this.#table, set).length !== count) return false;
    }
    return true;
  }

  /** Nothing is taken down: the containers' ports go on. */
  close(): void {
    this.#watch?.close();
    this.#watch = null;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #all(): PortForward[] {
    return [...this.#ports.values()].flat();
  }

  #write(): void {
    this.#options.kernel.firewall.commit(planTable(this.#options.shape, this.#all()));
  }

  #commitPorts(kind: 'addElements' | 'deleteElements', ports: readonly PortForward[]): void {
    const operations: FirewallOperation[] = planPorts(kind, this.#options.shape, ports);
    if (operations.length > 0) this.#options.kernel.firewall.commit(operations);
  }

  /** A UDP "connection" that was tracked before goes on to wherever it went; TCP starts anew by itself. */
  #forgetUdp(ports: readonly PortForward[]): void {
    for (const port of ports) {
      if (port.protocol !== 'udp' || !isForwarded(port)) continue;
      try {
        this.#options.kernel.firewall.forgetConnections({ protocol: 'udp', port: port.hostPort });
      } catch (error) {
        this.#options.log.warn('tracked connections of a port stay', {
          port: port.hostPort,
          error: errorMessage(error),
        });
      }
    }
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#repair();
    }, SETTLE_MS);
    this.#timer.unref();
  }

  #repair(): void {
    if (this.#watch === null) return;
    try {
      if (!this.isWhole()) {
        this.#write();
        this.#options.log.warn('the firewall table was changed by somebody else and is restored', {
          table: this.#table.name,
        });
      }
      this.#lookAround();
    } catch (error) {
      this.#options.log.error('the firewall table could not be restored', {
        table: this.#table.name,
        error: errorMessage(error),
      });
    }
  }

  /**
   * An accept in our table is not final: another table may still drop. Make a way, or say where it is closed.
   */
  #lookAround(): void {
    const { kernel, shape, mode, log } = this.#options;
    const foreign = kernel.firewall
      .dump()
      .chains.filter((chain) => !(chain.table.family === 'inet' && chain.table.name === shape.name))
      .filter(
        (chain) =>
          chain.base?.hook === 'forward' && chain.base.type === 'filter' && chain.base.policy === 'drop',
      )
      .map((chain): ForeignChain => ({ table: chain.table, chain: chain.name, comments: [] }));
    const withComments = foreign.map((chain) => ({
      ...chain,
      comments: kernel.firewall
        .dump(chain.table)
        .rules.filter((rule) => rule.chain === chain.chain)
        .map((rule) => rule.comment),
    }));
    const { operations, findings } = planWayThrough(shape, withComments, mode);
    if (operations.length > 0) {
      try {
        kernel.firewall.commit(operations);
        log.info('put an accept for our bridge in front of a chain that drops', {
          chains: withComments.map((c) => c.chain).join(' '),
        });
      } catch (error) {
        log.warn('another firewall drops forwarded packets', { error: errorMessage(error) });
      }
    }
    for (const finding of findings) {
      if (!this.#findings.some((known) => known.text === finding.text)) log.warn(finding.text);
    }
    this.#findings = findings;
  }
}
