import type { TestDaemon } from '../daemon.ts';
import { Beside } from './beside.ts';
import type { FromWire, ToWire, WireEnds, WireEntry, WireFault } from './wire-plan.ts';

/** A wire to a real registry that counts, slows down and breaks; see wire-process.ts. */
export class RegistryWire {
  readonly #process: Beside<ToWire, FromWire>;

  constructor(daemon: TestDaemon) {
    this.#process = new Beside(daemon, 'wire-process.ts');
  }

  async setFaults(faults: readonly WireFault[]): Promise<void> {
    await this.#process.ask({ say: 'faults', faults });
  }

  async ledger(options: { readonly clear?: boolean } = {}): Promise<readonly WireEntry[]> {
    const answer = await this.#process.ask({ say: 'ledger', clear: options.clear === true });
    return answer.say === 'ledger' ? answer.entries : [];
  }

  async start(ends: WireEnds): Promise<void> {
    await this.#process.ask({ say: 'start', ...ends });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }
}

/** In the network namespace of a daemon: what comes to a port of loopback goes on to another one. */
export async function startWire(daemon: TestDaemon, ends: WireEnds): Promise<RegistryWire> {
  const wire = new RegistryWire(daemon);
  try {
    await wire.start(ends);
  } catch (error) {
    await wire[Symbol.asyncDispose]();
    throw error;
  }
  return wire;
}
