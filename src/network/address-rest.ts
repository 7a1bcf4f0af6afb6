import { errorMessage } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { Kernel, Watch } from '#host/kernel.ts';
import type { Address } from './address.ts';
import type { IpamPool } from './ipam.ts';

/**
 * A namespace that somebody else keeps alive would keep its link for ever: after this we remove the link
 * ourselves.
 */
const LINGER_MS = 3000;
/** Links that went before we heard that their container ended; more of them than ends can be on their way. */
const MAX_GONE = 1024;

interface Resting {
  readonly addresses: readonly { readonly pool: IpamPool; readonly address: Address }[];
  readonly timer: NodeJS.Timeout;
}

/**
 * Addresses of containers that ended. The kernel takes a network namespace down some milliseconds after its
 * last user went; until the host's end of the pair is gone, the old link would answer for the address. So
 * each one waits for that event.
 */
export class AddressRest {
  readonly #kernel: Pick<Kernel, 'links'>;
  readonly #log: Log;
  readonly #resting = new Map<string, Resting>();
  readonly #gone = new Set<string>();
  #watch: Watch | null = null;

  constructor(kernel: Pick<Kernel, 'links'>, log: Log) {
    this.#kernel = kernel;
    this.#log = log;
  }

  start(): void {
    this.#watch ??= this.#kernel.links.watchRemovals(({ name }) => {
      if (!this.#end(name)) this.#remember(name);
    });
  }

  begin(hostLink: string, addresses: Resting['addresses']): void {
    for (const { pool, address } of addresses) pool.release(address, { rest: true });
    const timer = setTimeout(() => this.#linger(hostLink), LINGER_MS);
    timer.unref();
    this.#resting.set(hostLink, { addresses, timer });
    // It may be gone already: a shim that ended before we heard of it. The kernel is not asked, since it
    // would answer only after the namespaces that it is taking down.
    if (this.#gone.delete(hostLink)) this.#end(hostLink);
  }

  #remember(name: string): void {
    this.#gone.add(name);
    const [oldest] = this.#gone;
    if (this.#gone.size > MAX_GONE && oldest !== undefined) this.#gone.delete(oldest);
  }

  get count(): number {
    return this.#resting.size;
  }

  close(): void {
    this.#watch?.close();
    this.#watch = null;
    for (const { timer } of this.#resting.values()) clearTimeout(timer);
    this.#resting.clear();
  }

  #end(hostLink: string): boolean {
    const resting = this.#resting.get(hostLink);
    if (resting === undefined) return false;
    clearTimeout(resting.timer);
    this.#resting.delete(hostLink);
    for (const { pool, address } of resting.addresses) pool.rested(address);
    return true;
  }

  /** Nobody waits here, so the slow removal of a link is allowed. */
  #linger(hostLink: string): void {
    try {
      if (this.#kernel.links.find(hostLink) !== null)
        this.#kernel.links.apply([{ kind: 'removeLink', name: hostLink }]);
      this.#end(hostLink);
    } catch (error) {
      this.#log.warn('a link of a container that ended stays', {
        link: hostLink,
        error: errorMessage(error),
      });
    }
  }
}
