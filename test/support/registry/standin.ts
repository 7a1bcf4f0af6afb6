import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DaemonOptions, TestDaemon } from '../daemon.ts';
import { Beside } from './beside.ts';
import { type Authority, makeAuthority, makeCertificate } from './certificates.ts';
import { type BuiltStandinImage, ContentFolder, type StandinImage } from './content.ts';
import { type Form, type FormName, formOf } from './forms.ts';
import type { Fault, FromStandin, IssuedToken, LedgerEntry, Listener, Role, ToStandin } from './plan.ts';

/** An address of a test's network namespace that is not loopback: nothing is insecure there by itself. */
export const OUTSIDE = '198.18.0.1';

export interface StandinOptions {
  /** Manners of a known registry; without it `hosts` says everything. */
  readonly form?: FormName;
  readonly hosts?: Readonly<Record<string, readonly Role[]>>;
  readonly images?: readonly StandinImage[];
  readonly faults?: readonly Fault[];
  readonly tls?: 'good' | 'expired' | 'other-name' | 'client' | 'none';
}

export interface Ledger {
  readonly entries: readonly LedgerEntry[];
  readonly tokens: readonly IssuedToken[];
}

/** Everything a test prepares before its daemon starts: names, certificates and documents. */
export class RegistryGround {
  readonly folder: string;
  readonly authority: Authority;

  private constructor(folder: string, authority: Authority) {
    this.folder = folder;
    this.authority = authority;
  }

  static async make(folder: string): Promise<RegistryGround> {
    await mkdir(folder, { recursive: true });
    return new RegistryGround(folder, await makeAuthority(join(folder, 'authority')));
  }

  /** A certificate for a client, of the same authority. */
  client(): Promise<{ certificate: string; key: string }> {
    return makeCertificate(this.authority, { name: 'client', hosts: ['client.example'] });
  }

  /**
   * Files below /etc that only the daemon sees: names of hosts and the authority that it trusts for them.
   */
  async etcFor(hosts: readonly string[]): Promise<NonNullable<DaemonOptions['etc']>> {
    const certificate = await readFile(this.authority.certificate, 'utf8');
    const names = hosts.map((host) => host.replace(/:\d+$/, '')).filter((host) => !/^[\d.]+$/.test(host));
    const lines = ['127.0.0.1 localhost', ...[...new Set(names)].map((name) => `${OUTSIDE} ${name}`)];
    const trusted = hosts.map((host) => [`docker/certs.d/${host}/ca.crt`, certificate] as const);
    return {
      hosts: `${lines.join('\n')}\n`,
      'nsswitch.conf': 'hosts: files\n',
      ...Object.fromEntries(trusted),
    };
  }
}

/** A registry that stands in for a real one, beside the daemon under test. */
export class Standin {
  readonly form: Form | null;
  readonly images: readonly BuiltStandinImage[];
  readonly content: ContentFolder;
  readonly #process: Beside<ToStandin, FromStandin>;

  constructor(of: {
    readonly form: Form | null;
    readonly images: readonly BuiltStandinImage[];
    readonly content: ContentFolder;
    readonly process: Beside<ToStandin, FromStandin>;
  }) {
    this.form = of.form;
    this.images = of.images;
    this.content = of.content;
    this.#process = of.process;
  }

  async ledger(options: { readonly clear?: boolean } = {}): Promise<Ledger> {
    const answer = await this.ask({ say: 'ledger', clear: options.clear === true });
    if (answer.say !== 'ledger') throw new Error(`the stand-in said ${answer.say}`);
    return { entries: answer.entries, tokens: answer.tokens };
  }

  async setFaults(faults: readonly Fault[]): Promise<void> {
    await this.ask({ say: 'faults', faults });
  }

  /** After documents were added to its content. */
  async reload(): Promise<void> {
    await this.ask({ say: 'reload' });
  }

  async ask(message: ToStandin): Promise<FromStandin> {
    const answer = await this.#process.ask(message);
    if (answer.say === 'failed') throw new Error(`stand-in: ${answer.message}`);
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }
}

/** Where a host's name leads to: loopback for addresses of loopback, else outside. */
function placeOf(host: string): { address: string; port: number } {
  const port = Number(/:(\d+)$/.exec(host)?.[1] ?? 443);
  return { address: host.startsWith('127.') ? host.replace(/:\d+$/, '') : OUTSIDE, port };
}

async function listenersFor(
  ground: RegistryGround,
  options: StandinOptions,
  hosts: readonly string[],
): Promise<Listener[]> {
  const kind = options.tls ?? 'good';
  const byPlace = new Map(hosts.map(placeOf).map((place) => [`${place.address}:${place.port}`, place]));
  const places = [...byPlace.values()];
  const isPlain = kind === 'none' || hosts.every((host) => host.startsWith('127.'));
  if (isPlain) return places.map((place) => ({ ...place, tls: null }));
  const names = [...hosts.map((host) => host.replace(/:\d+$/, '')), OUTSIDE];
  const made = await makeCertificate(ground.authority, {
    name: `server-${kind}`,
    hosts: kind === 'other-name' ? ['other.example'] : names,
    isExpired: kind === 'expired',
  });
  const tls = { ...made, ...(kind === 'client' && { clientCa: ground.authority.certificate }) };
  return places.map((place) => ({ ...place, tls }));
}

/** Starts a stand-in in the daemon's network namespace, which has to be there already. */
export async function startStandin(
  daemon: TestDaemon,
  ground: RegistryGround,
  options: StandinOptions,
): Promise<Standin> {
  const form = options.form === undefined ? null : formOf(options.form);
  const hosts = options.hosts ?? form?.hosts ?? {};
  const folder = join(ground.folder, `content-${Object.keys(hosts)[0]?.replace(':', '_') ?? 'none'}`);
  const content = new ContentFolder(folder);
  await content.save();
  const images: BuiltStandinImage[] = [];
  for (const image of options.images ?? []) images.push(await content.add(image));
  const listeners = await listenersFor(ground, options, Object.keys(hosts));
  const process = new Beside<ToStandin, FromStandin>(daemon, 'standin-process.ts');
  const standin = new Standin({ form, images, content, process });
  try {
    const plan = { listeners, hosts, folder, faults: options.faults ?? [] };
    await standin.ask({ say: 'start', plan });
  } catch (error) {
    await standin[Symbol.asyncDispose]();
    throw error;
  }
  return standin;
}
