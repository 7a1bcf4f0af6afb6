import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { PLAIN_ENV } from '../command.ts';
import type { TestDaemon } from '../daemon.ts';

export interface ProxyPlan {
  readonly address: string;
  readonly port: number;
  /** Where every name leads to. */
  readonly leadTo: string;
  /** `name:password`; others are refused. */
  readonly user?: string;
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
  readonly #child: ChildProcess;

  constructor(child: ChildProcess) {
    this.#child = child;
  }

  async ask(message: ToProxy): Promise<FromProxy> {
    const answered = once(this.#child, 'message') as Promise<[FromProxy]>;
    this.#child.send(message);
    return (await answered)[0];
  }

  /** What it was asked for since the last question. */
  async ledger(): Promise<readonly ProxyEntry[]> {
    const answer = await this.ask({ say: 'ledger' });
    return answer.say === 'ledger' ? answer.entries : [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await closed;
  }
}

export async function startProxy(daemon: TestDaemon, plan: ProxyPlan): Promise<TestProxy> {
  const program = join(import.meta.dirname, 'proxy-process.ts');
  const child = spawn('nsenter', [`--net=/run/netns/${daemon.network}`, '--', process.execPath, program], {
    env: { ...PLAIN_ENV },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const proxy = new TestProxy(child);
  await proxy.ask({ say: 'start', plan });
  return proxy;
}
