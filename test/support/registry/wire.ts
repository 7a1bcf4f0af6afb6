import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { PLAIN_ENV } from '../command.ts';
import type { TestDaemon } from '../daemon.ts';
import type { FromWire, ToWire, WireEnds, WireEntry, WireFault } from './wire-plan.ts';

/** A wire to a real registry that counts, slows down and breaks; see wire-process.ts. */
export class RegistryWire {
  readonly #child: ChildProcess;
  #last: Promise<unknown> = Promise.resolve();

  constructor(child: ChildProcess) {
    this.#child = child;
  }

  async setFaults(faults: readonly WireFault[]): Promise<void> {
    await this.#ask({ say: 'faults', faults });
  }

  async ledger(options: { readonly clear?: boolean } = {}): Promise<readonly WireEntry[]> {
    const answer = await this.#ask({ say: 'ledger', clear: options.clear === true });
    return answer.say === 'ledger' ? answer.entries : [];
  }

  async start(ends: WireEnds): Promise<void> {
    await this.#ask({ say: 'start', ...ends });
  }

  /** One question after the other: answers carry no name. */
  #ask(message: ToWire): Promise<FromWire> {
    const asked = this.#last.then(async () => {
      const answered = once(this.#child, 'message') as Promise<[FromWire]>;
      this.#child.send(message);
      return (await answered)[0];
    });
    this.#last = asked.catch(() => undefined);
    return asked;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await closed;
  }
}

/** In the network namespace of a daemon: what comes to a port of loopback goes on to another one. */
export async function startWire(daemon: TestDaemon, ends: WireEnds): Promise<RegistryWire> {
  const program = join(import.meta.dirname, 'wire-process.ts');
  const child = spawn('nsenter', [`--net=/run/netns/${daemon.network}`, '--', process.execPath, program], {
    env: { ...PLAIN_ENV },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const wire = new RegistryWire(child);
  try {
    await wire.start(ends);
  } catch (error) {
    await wire[Symbol.asyncDispose]();
    throw error;
  }
  return wire;
}
