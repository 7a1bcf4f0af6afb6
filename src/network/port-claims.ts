import { EngineError, errorCode, errorMessage } from '#base/errors.ts';
import { isKernelError } from '#host/kernel-error.ts';
import type { Protocol, PublishedPort } from './model.ts';
import { addressesClash, type PortWish } from './port-bindings.ts';

/**
 * Binds a host port, so that nobody else on the host gets it; gives the descriptor. Throws with an errno name
 * as `code`.
 */
export type HoldPort = (port: {
  readonly protocol: Protocol;
  readonly address: string;
  readonly port: number;
  readonly listen: boolean;
}) => number;

export interface PortClaimsOptions {
  readonly hold: HoldPort;
  readonly close: (fd: number) => void;
  /**
   * Whether packets to an address of that family are led to containers: a socket that nobody serves must not
   * accept.
   */
  readonly isServed: (address: string) => boolean;
  /** First and last port for bindings that name none. */
  readonly ephemeralRange: () => readonly [first: number, last: number];
}

export interface ClaimedPorts {
  readonly ports: readonly PublishedPort[];
  readonly held: readonly number[];
}

type Attempt = { readonly ok: ClaimedPorts } | { readonly clash: EngineError };

const key = (protocol: Protocol, port: number): string => `${protocol}/${port}`;
const bracketed = (address: string): string => (address.includes(':') ? `[${address}]` : address);

/** Which host ports our containers have. Known in memory, backed by bound sockets. */
export class PortClaims {
  readonly #options: PortClaimsOptions;
  /** protocol/port → addresses. */
  readonly #taken = new Map<string, string[]>();
  /** Ephemeral ports are given out in turn, so that one that was just freed rests a while. */
  readonly #next = new Map<Protocol, number>();

  constructor(options: PortClaimsOptions) {
    this.#options = options;
  }

  /** All wishes or none. `target` is the container's address, for the text of an error. */
  claim(wishes: readonly PortWish[], target: string): ClaimedPorts {
    const ports: PublishedPort[] = [];
    const held: number[] = [];
    try {
      for (const wish of wishes) {
        const claimed = this.#one(wish, target);
        ports.push(...claimed.ports);
        held.push(...claimed.held);
      }
    } catch (error) {
      this.release(ports);
      for (const fd of held) this.#options.close(fd);
      throw error;
    }
    return { ports, held };
  }

  /** Takes ports that a running container has; its shim holds the sockets. */
  restore(ports: readonly PublishedPort[]): void {
    for (const port of ports) this.#take(port);
  }

  release(ports: readonly PublishedPort[]): void {
    for (const port of ports) {
      const at = key(port.protocol, port.hostPort);
      const rest = (this.#taken.get(at) ?? []).filter((address) => address !== port.hostIp);
      if (rest.length === 0) this.#taken.delete(at);
      else this.#taken.set(at, rest);
    }
  }

  #take(port: PublishedPort): void {
    const at = key(port.protocol, port.hostPort);
    this.#taken.set(at, [...(this.#taken.get(at) ?? []), port.hostIp]);
  }

  #one(wish: PortWish, target: string): ClaimedPorts {
    const ephemeral = wish.hostPorts.first === 0;
    const [first, last] = ephemeral
      ? this.#options.ephemeralRange()
      : [wish.hostPorts.first, wish.hostPorts.last];
    const start = ephemeral ? Math.min(Math.max(this.#next.get(wish.protocol) ?? first, first), last) : first;
    let clash: EngineError | undefined;
    for (let i = 0; i <= last - first; i++) {
      const port = first + ((start - first + i) % (last - first + 1));
      const attempt = this.#try(wish, { port, target });
      if ('ok' in attempt) {
        if (ephemeral) this.#next.set(wish.protocol, port === last ? first : port + 1);
        return attempt.ok;
      }
      clash = attempt.clash;
    }
    if (clash === undefined || first !== last) throw new EngineError('internal', 'all ports are allocated');
    throw clash;
  }

  #try(wish: PortWish, choice: { readonly port: number; readonly target: string }): Attempt {
    const { port, target } = choice;
    const taken = this.#taken.get(key(wish.protocol, port)) ?? [];
    for (const hostIp of wish.hostIps) {
      if (taken.some((other) => addressesClash(hostIp, other))) {
        return {
          clash: new EngineError('internal', `Bind for ${hostIp}:${port} failed: port is already allocated`),
        };
      }
    }
    const ports: PublishedPort[] = [];
    const held: number[] = [];
    for (const hostIp of wish.hostIps) {
      try {
        held.push(
          this.#options.hold({
            protocol: wish.protocol,
            address: hostIp,
            port,
            listen: this.#options.isServed(hostIp),
          }),
        );
        ports.push({ protocol: wish.protocol, containerPort: wish.containerPort, hostIp, hostPort: port });
      } catch (error) {
        const code = errorCode(error);
        // A host without IPv6: `::` was only our reading of "everywhere".
        if (
          hostIp === '::' &&
          wish.hostIps.length > 1 &&
          (code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL')
        )
          continue;
        for (const fd of held) this.#options.close(fd);
        const reason = isKernelError(error) ? error.reason : errorMessage(error);
        const where = `${bracketed(hostIp)}:${port}:${bracketed(target)}:${wish.containerPort}/${wish.protocol}`;
        const failure = new EngineError('internal', `failed to bind host port for ${where}: ${reason}`, {
          cause: error,
        });
        if (code === 'EADDRINUSE') return { clash: failure };
        throw failure;
      }
    }
    for (const one of ports) this.#take(one);
    return { ok: { ports, held } };
  }
}
