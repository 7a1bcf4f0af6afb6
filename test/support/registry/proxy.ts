import type { TestDaemon } from '../daemon.ts';
import { Beside } from './beside.ts';

export interface ProxyPlan {
  readonly address: string;
  readonly port: number;
  /** Where every name leads to. */
  readonly leadTo: string;
  /** `name:password`; others are refused. */
  readonly user?: string;
  /** Default: `http`. */
  readonly kind?: 'http' | 'socks5';
}

/** One request, as the proxy saw it: of a tunnel only its beginning. */
export interface ProxyEntry {
  readonly method: string;
  readonly target: string;
  readonly proxyAuthorization: string;
  readonly authorization: string;
}

export type ToProxy = { readonly say: 'start'; readonly plan: ProxyPlan } | { readonly say: 'ledger' };
export type FromProxy =
  | { readonly say: 'ready' }
  | { readonly say: 'ledger'; readonly entries: readonly ProxyEntry[] };

/** A proxy beside the daemon under test. */
export class TestProxy {
  readonly #process: Beside<ToProxy, FromProxy>;

  constructor(daemon: TestDaemon) {
    this.#process = new Beside(daemon, 'proxy-process.ts');
  }

  async start(plan: ProxyPlan): Promise<void> {
    await this.#process.ask({ say: 'start', plan });
  }

  /** What it was asked for since the last question. */
  async ledger(): Promise<readonly ProxyEntry[]> {
    const answer = await this.#process.ask({ say: 'ledger' });
    return answer.say === 'ledger' ? answer.entries : [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }
}

export async function startProxy(daemon: TestDaemon, plan: ProxyPlan): Promise<TestProxy> {
  const proxy = new TestProxy(daemon);
  await proxy.start(plan);
  return proxy;
}
