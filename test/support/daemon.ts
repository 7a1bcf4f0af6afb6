import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, openSync, closeSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { call, type ApiAnswer, type ApiRequest } from './api.ts';
import { must, PLAIN_ENV, run, until, type CommandOptions, type CommandResult } from './command.ts';
import { findLeaks } from './leaks.ts';
import { TEST_RUNTIME } from './runtimes.ts';

/** The daemon's command; another build of it can be put under test (the checker's sabotage). */
const REPOSITORY = join(import.meta.dirname, '../..');

export interface DaemonOptions {
  readonly args?: readonly string[];
  readonly config?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
  /** Instead of a folder beside the data root, which may be on a disk. */
  readonly execRoot?: string;
  /** Another executable instead of `bin/gantryd`. */
  readonly executable?: string;
  /** Cgroup parent instead of one of the test's own; `null` keeps the daemon's default. */
  readonly cgroupParent?: string | null;
  /** Lives in this one's network namespace instead of one of its own. */
  readonly neighbour?: TestDaemon;
  /** Files below /etc, by path, that only this daemon sees: hosts, certificates. */
  readonly etc?: Readonly<Record<string, string>>;
}

/** In a mount namespace of its own: what stands in folder $0 is laid over /etc, then the daemon starts. */
const WITH_ETC = `mkdir -p "$0-over" && mount -t tmpfs tmpfs "$0-over" && cd "$0-over" && mkdir upper work &&
cp -a "$0/." upper && mount -t overlay -o lowerdir=/etc,upperdir=upper,workdir=work overlay /etc &&
cd / && umount -l "$0-over" && exec "$@"`;

/** A `gantryd` with roots, a socket and a network namespace of its own. */
export class TestDaemon {
  readonly name: string;
  readonly root: string;
  readonly dataRoot: string;
  readonly execRoot: string;
  readonly socket: string;
  readonly cgroupParent: string | null;
  readonly #options: DaemonOptions;
  #child: ChildProcess | undefined;
  /** Kept here: a test may take the data root away. */
  #instance = '';

  constructor(options: DaemonOptions) {
    this.name = `gt-${randomBytes(3).toString('hex')}`;
    this.root = `/tmp/${this.name}`;
    this.dataRoot = `${this.root}/data`;
    this.execRoot = options.execRoot ?? `${this.root}/exec`;
    this.socket = `${this.root}/gantry.sock`;
    this.cgroupParent = options.cgroupParent === undefined ? `/${this.name}` : options.cgroupParent;
    this.#options = options;
  }

  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error('the daemon is not running');
    return this.#child.pid;
  }

  get host(): string {
    return `unix://${this.socket}`;
  }

  get logFile(): string {
    return `${this.root}/daemon.log`;
  }

  /** Of the network namespace. */
  get network(): string {
    return this.#options.neighbour?.network ?? this.name;
  }

  /** Makes the network namespace: `lo`, and a bridge `ext0` with a non-loopback address, 198.18.0.1. */
  async prepare(): Promise<void> {
    await mkdir(this.root, { recursive: true });
    await mkdir(`${this.root}/cli`, { recursive: true });
    await writeFile(`${this.root}/daemon.json`, JSON.stringify(this.#config()));
    for (const [path, content] of Object.entries(this.#options.etc ?? {})) {
      await mkdir(dirname(`${this.root}/etc/${path}`), { recursive: true });
      await writeFile(`${this.root}/etc/${path}`, content);
    }
    if (this.#options.neighbour !== undefined) return;
    await must('ip', ['netns', 'add', this.name]);
    const commands = [
      'link set lo up',
      'link add ext0 type bridge',
      'addr add 198.18.0.1/24 dev ext0',
      'link set ext0 up',
      'route add default via 198.18.0.254',
    ];
    for (const command of commands) await must('ip', ['-n', this.name, ...command.split(' ')]);
  }

  arguments(): string[] {
    return [
      ...['--data-root', this.dataRoot, '--exec-root', this.execRoot, '--pidfile', `${this.root}/gantry.pid`],
      ...['-H', this.host, '--config-file', `${this.root}/daemon.json`],
      ...(this.cgroupParent === null ? [] : ['--cgroup-parent', this.cgroupParent]),
      ...(this.#options.args ?? []),
    ];
  }

  /** With the runtime that the run of tests is meant for, unless the test is about runtimes itself. */
  #config(): Readonly<Record<string, unknown>> {
    const { args = [], config = {} } = this.#options;
    const isChosen = TEST_RUNTIME === '' || args.some((arg) => arg.startsWith('--default-runtime'));
    return isChosen ? config : { 'default-runtime': TEST_RUNTIME, ...config };
  }

  /** Starts the process and waits for the first answer to `/_ping`. */
  async start(): Promise<void> {
    const log = openSync(this.logFile, 'a');
    const executable = this.#options.executable ?? join(REPOSITORY, 'bin/gantryd');
    const child = spawn(
      'nsenter',
      [`--net=/run/netns/${this.network}`, '--', ...this.#ownEtc(), executable, ...this.arguments()],
      {
        env: { ...PLAIN_ENV, ...this.#options.env },
        stdio: ['ignore', log, log],
        detached: true,
      },
    );
    closeSync(log);
    this.#child = child;
    await until(
      async () => {
        if (child.exitCode !== null || child.signalCode !== null)
          throw new Error(`gantryd ended: ${await this.log()}`);
        if (!existsSync(this.socket)) return undefined;
        const answer = await call(this.socket, { path: '/_ping', timeoutMs: 2000 }).catch(() => undefined);
        return answer?.status === 200 ? true : undefined;
      },
      { what: 'answer of gantryd to /_ping' },
    );
    await this.#readInstance();
  }

  #ownEtc(): string[] {
    if (this.#options.etc === undefined) return [];
    return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', WITH_ETC, `${this.root}/etc`];
  }

  async log(): Promise<string> {
    return (await readFile(this.logFile, 'utf8').catch(() => '')).slice(-4000);
  }

  /** Ends the process only; containers live on. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const closed = new Promise((resolve) => child.once('close', resolve));
    child.kill(signal);
    await closed;
  }

  async restart(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.kill(signal);
    await this.start();
  }

  get isRunning(): boolean {
    return this.#child !== undefined;
  }

  api(path: string, options: Omit<ApiRequest, 'path'> = {}): Promise<ApiAnswer> {
    return call(this.socket, { ...options, path });
  }

  /** The real docker CLI against this daemon, outside of its network namespace. */
  docker(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return run('docker', args, { ...options, env: { ...this.clientEnv(), ...options.env } });
  }

  async mustDocker(args: readonly string[], options: CommandOptions = {}): Promise<string> {
    const result = await this.docker(args, options);
    if (result.exit !== 0) throw new Error(`docker ${args.join(' ')}: exit ${result.exit}: ${result.stderr}`);
    return result.stdout.trimEnd();
  }

  clientEnv(): Record<string, string> {
    return { DOCKER_HOST: this.host, HOME: `${this.root}/cli`, DOCKER_CONFIG: `${this.root}/cli` };
  }

  /** A program inside of the daemon's network namespace. */
  inNetwork(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return run('nsenter', [`--net=/run/netns/${this.network}`, '--', ...args], options);
  }

  /** A program that sees the daemon's network and its files, as somebody on the same machine does. */
  besideDaemon(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    const into = ['--target', String(this.pid), '--net', '--mount', '--'];
    return run('nsenter', [...into, ...args], { ...options, env: { ...this.clientEnv(), ...options.env } });
  }

  async loadImage(archive: string): Promise<void> {
    const answer = await this.api('/images/load?quiet=1', { method: 'POST', raw: await readFile(archive) });
    if (answer.status !== 200 || answer.body.includes('"error"'))
      throw new Error(`load: ${answer.body.toString()}`);
  }

  async removeAll(): Promise<void> {
    const list = (await this.api('/containers/json?all=1')).json as { Id: string }[];
    await Promise.all(list.map(({ Id }) => this.api(`/containers/${Id}?force=1&v=1`, { method: 'DELETE' })));
  }

  /** Removes every container, looks for leaks, ends the daemon and takes its namespace and folders away. */
  async [Symbol.asyncDispose](): Promise<void> {
    let leaks: string[] = [];
    try {
      if (!this.isRunning && existsSync(this.dataRoot)) await this.start();
      if (this.isRunning) {
        await this.removeAll();
        leaks = await findLeaks(this);
      }
      await this.kill('SIGTERM');
    } finally {
      await this.kill('SIGKILL');
      await this.#sweep();
    }
    if (leaks.length > 0) throw new Error(`left behind:\n${leaks.join('\n')}`);
  }

  async #readInstance(): Promise<void> {
    this.#instance = await readFile(`${this.dataRoot}/instance`, 'utf8').catch(() => this.#instance);
  }

  async #sweep(): Promise<void> {
    const { killProcessesNaming, removeCgroups } = await import('./leaks.ts');
    await killProcessesNaming(this.execRoot);
    if (this.#options.neighbour === undefined) await run('ip', ['netns', 'del', this.name]);
    if (this.cgroupParent !== null) await removeCgroups(this.cgroupParent);
    await this.#readInstance();
    if (this.#instance !== '') await removeCgroups(`/gantry-${this.#instance.slice(0, 6)}`);
    for (const path of [this.execRoot, this.root]) await rm(path, { recursive: true, force: true });
  }
}

/** Starts a daemon for a test: `await using daemon = await startDaemon()`. */
export async function startDaemon(options: DaemonOptions = {}): Promise<TestDaemon> {
  const daemon = new TestDaemon(options);
  try {
    await daemon.prepare();
    await daemon.start();
  } catch (error) {
    await daemon.kill();
    await daemon[Symbol.asyncDispose]().catch(() => undefined);
    throw error;
  }
  return daemon;
}
