import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PLAIN_ENV, run, until } from '../command.ts';

/** `gantry-registry`, or the one that distributions have. */
export type RealKind = 'gantry' | 'docker-registry';

export interface RealRegistryOptions {
  readonly kind: RealKind;
  /** Address and port in the network namespace. */
  readonly address: string;
  /** The program that enters the namespace, such as `nsenter` with its flags; nothing: this one. */
  readonly enter: readonly string[];
  /** `user:bcrypt` lines. */
  readonly passwords?: string;
  readonly args?: readonly string[];
  /** Of ours: PEM files. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  /** A folder that was filled before, instead of an empty one. */
  readonly data?: string;
}

const OURS = join(import.meta.dirname, '../../../bin/gantry-registry');
const THEIRS = '/usr/bin/docker-registry';
/** Of user `u` with password `secret`. */
export const PASSWORDS = 'u:$2y$05$6cPisUDLdZ2gVBlNRq7wRe/9JL9lKlMbYYRG.HrtgJhrr.UNK/zDC\n';

/** Why there is no such registry on this machine, or `false`. */
export function registryIsMissing(kind: RealKind): string | false {
  return kind === 'gantry' || existsSync(THEIRS) ? false : 'no docker-registry';
}

/** A registry with a folder and a process of its own. */
export class RealRegistry {
  readonly address: string;
  readonly folder: string;
  readonly logFile: string;
  readonly #child: ChildProcess;

  constructor(of: { readonly address: string; readonly folder: string; readonly child: ChildProcess }) {
    this.address = of.address;
    this.folder = of.folder;
    this.logFile = join(of.folder, 'log');
    this.#child = of.child;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  log(): Promise<string> {
    return readFile(this.logFile, 'utf8');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const closed = once(this.#child, 'close');
      this.#child.kill('SIGKILL');
      await closed;
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}

async function commandOf(options: RealRegistryOptions, folder: string): Promise<string[]> {
  const { kind, address, passwords, args = [], data = join(folder, 'data') } = options;
  const file = join(folder, 'htpasswd');
  if (passwords !== undefined) await writeFile(file, passwords);
  if (kind === 'gantry') {
    const access = passwords === undefined ? [] : ['--auth', file];
    const { tls } = options;
    const secured = tls === undefined ? [] : ['--tls', `${tls.certificate},${tls.key}`];
    return [OURS, '--addr', address, '--data', data, ...access, ...secured, ...args];
  }
  const access = passwords === undefined ? '' : `auth: {htpasswd: {realm: test, path: ${file}}}\n`;
  const storage = `{filesystem: {rootdirectory: ${data}}, delete: {enabled: true}}`;
  const config = `version: 0.1\nlog: {level: info}\nstorage: ${storage}\n${access}http: {addr: "${address}"}\n`;
  await writeFile(join(folder, 'config.yml'), config);
  return [THEIRS, 'serve', join(folder, 'config.yml')];
}

export async function startRegistry(options: RealRegistryOptions): Promise<RealRegistry> {
  const folder = await mkdtemp('/tmp/gantry-real-');
  await mkdir(join(folder, 'data'));
  const [program = '', ...args] = [...options.enter, ...(await commandOf(options, folder))];
  const log = openSync(join(folder, 'log'), 'a');
  const child = spawn(program, args, { env: { ...PLAIN_ENV }, stdio: ['ignore', log, log] });
  closeSync(log);
  const registry = new RealRegistry({ address: options.address, folder, child });
  try {
    const [enter = 'env', ...into] = options.enter;
    const ping = [
      ...into,
      'curl',
      '-sk',
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      `http${options.tls === undefined ? '' : 's'}://${options.address}/v2/`,
    ];
    await until(
      async () => {
        if (child.exitCode !== null) throw new Error(`the registry ended: ${await registry.log()}`);
        return /^(200|401)$/.test((await run(enter, ping)).stdout) ? true : undefined;
      },
      { what: 'answer of the registry' },
    );
  } catch (error) {
    await registry[Symbol.asyncDispose]();
    throw error;
  }
  return registry;
}
