import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ARCHIVES } from '../../tools/set-up/images.ts';
import { unframe } from '../../tools/set-up/engine.ts';
import { call, type ApiAnswer, type ApiRequest } from '../support/api.ts';
import { must, run, until, type CommandResult } from '../support/command.ts';

const REPOSITORY = join(import.meta.dirname, '../..');
const SOCKET = '/run/gantry.sock';
const DATA_ROOT = '/var/lib/gantry';
/** Everything is ten times slower in an emulated machine. */
const PATIENCE_MS = 120_000;
/** An address of the host besides loopback: the machine has no network card. */
export const HOST_ADDRESS = '198.18.0.1';

export interface ServiceOptions {
  readonly config?: Readonly<Record<string, unknown>>;
  /** The service manager opens the socket and starts the daemon at the first connection. */
  readonly isSocketActivated?: boolean;
  readonly images?: readonly (keyof typeof ARCHIVES)[];
  /** Kept at the end, unlike the usual one. */
  readonly dataRoot?: string;
}

export interface Finished {
  readonly id: string;
  readonly exit: number;
  readonly output: string;
}

export interface RunBody {
  readonly Image?: string;
  readonly Cmd?: readonly string[];
  readonly HostConfig?: Readonly<Record<string, unknown>>;
  readonly ExposedPorts?: Readonly<Record<string, object>>;
  readonly Tty?: boolean;
}

function serviceUnit(arguments_: readonly string[]): string {
  return `[Unit]
Description=gantryd
[Service]
ExecStart=${REPOSITORY}/bin/gantryd ${arguments_.join(' ')}
KillMode=process
Restart=always
RestartSec=100ms
Delegate=yes
LimitNOFILE=infinity
TasksMax=infinity
`;
}

const SOCKET_UNIT = `[Unit]
Description=gantryd's socket
[Socket]
ListenStream=${SOCKET}
SocketMode=0660
`;

/** The daemon as a distribution would run it: a systemd service with the default folders. */
export class Service {
  readonly #options: ServiceOptions;

  constructor(options: ServiceOptions) {
    this.#options = options;
  }

  get dataRoot(): string {
    return this.#options.dataRoot ?? DATA_ROOT;
  }

  async start(): Promise<void> {
    const { config = {}, isSocketActivated = false } = this.#options;
    await mkdir('/etc/gantry', { recursive: true });
    await writeFile('/etc/gantry/daemon.json', JSON.stringify(config));
    const host = isSocketActivated ? 'fd://' : `unix://${SOCKET}`;
    await writeFile(
      '/run/systemd/system/gantry.service',
      serviceUnit(['-H', host, '--data-root', this.dataRoot]),
    );
    await writeFile('/run/systemd/system/gantry.socket', SOCKET_UNIT);
    await must('systemctl', ['daemon-reload']);
    await must('systemctl', ['start', isSocketActivated ? 'gantry.socket' : 'gantry.service']);
    await this.answering();
  }

  /** Waits for an answer to `/_ping`; says what the daemon logged when there is none. */
  async answering(): Promise<void> {
    try {
      await until(
        async () => {
          const answer = await this.api('/_ping', { timeoutMs: PATIENCE_MS }).catch(() => undefined);
          return answer?.status === 200 ? true : undefined;
        },
        { what: 'answer of gantryd to /_ping', timeoutMs: PATIENCE_MS },
      );
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${await this.log()}`);
    }
  }

  async log(): Promise<string> {
    return (await run('journalctl', ['-u', 'gantry.service', '-o', 'cat', '-n', '30'])).stdout;
  }

  async pid(): Promise<number> {
    return Number(await must('systemctl', ['show', '-p', 'MainPID', '--value', 'gantry.service']));
  }

  /** Ends the daemon by SIGKILL; the service manager starts it again. */
  async crash(): Promise<void> {
    const before = await this.pid();
    process.kill(before, 'SIGKILL');
    await until(
      async () => {
        const now = await this.pid();
        return now !== 0 && now !== before ? true : undefined;
      },
      { what: 'a new process of the daemon', timeoutMs: PATIENCE_MS },
    );
    await this.answering();
  }

  api(path: string, options: Omit<ApiRequest, 'path'> = {}): Promise<ApiAnswer> {
    return call(SOCKET, { timeoutMs: PATIENCE_MS, ...options, path });
  }

  async must(path: string, options: Omit<ApiRequest, 'path'> = {}): Promise<ApiAnswer> {
    const answer = await this.api(path, options);
    if (answer.status < 400) return answer;
    throw new Error(`${path}: ${answer.status} ${answer.body.toString()}`);
  }

  gantry(args: readonly string[]): Promise<CommandResult> {
    return run(join(REPOSITORY, 'bin/gantry'), ['-H', `unix://${SOCKET}`, ...args], {
      timeoutMs: PATIENCE_MS,
    });
  }

  /** Creates and starts a container of busybox; answers its id. */
  async launch(body: RunBody): Promise<string> {
    const created = await this.must('/containers/create', {
      method: 'POST',
      body: { Image: 'busybox', ...body },
    });
    const { Id } = created.json as { Id: string };
    await this.must(`/containers/${Id}/start`, { method: 'POST' });
    return Id;
  }

  async run(body: RunBody): Promise<Finished> {
    const id = await this.launch(body);
    const waited = await this.must(`/containers/${id}/wait`, { method: 'POST' });
    return { id, exit: (waited.json as { StatusCode: number }).StatusCode, output: await this.logs(id) };
  }

  async logs(id: string): Promise<string> {
    return unframe((await this.must(`/containers/${id}/logs?stdout=1&stderr=1`)).body);
  }

  async exec(id: string, command: readonly string[]): Promise<string> {
    const created = await this.must(`/containers/${id}/exec`, {
      method: 'POST',
      body: { Cmd: command, AttachStdout: true, AttachStderr: true },
    });
    const { Id } = created.json as { Id: string };
    return unframe((await this.must(`/exec/${Id}/start`, { method: 'POST', body: { Detach: false } })).body);
  }

  async state(id: string): Promise<Record<string, unknown>> {
    return ((await this.must(`/containers/${id}/json`)).json as { State: Record<string, unknown> }).State;
  }

  /** Removes all containers, looks for what they left, ends the service and takes its data away. */
  async [Symbol.asyncDispose](): Promise<void> {
    let leaks: string[] = [];
    try {
      const list = (await this.must('/containers/json?all=1')).json as { Id: string }[];
      for (const { Id } of list) await this.must(`/containers/${Id}?force=1&v=1`, { method: 'DELETE' });
      leaks = await findLeaks(this.dataRoot);
    } finally {
      await run('systemctl', ['stop', 'gantry.socket', 'gantry.service']);
      if (this.#options.dataRoot === undefined) await rm(DATA_ROOT, { recursive: true, force: true });
      await rm(SOCKET, { force: true });
    }
    if (leaks.length > 0) throw new Error(`left behind:\n${leaks.join('\n')}`);
    const isEmpty = async (): Promise<true | undefined> =>
      (await shimsAndRuntimes()).length === 0 ? true : undefined;
    await until(isEmpty, { timeoutMs: 10_000, what: 'no shim without its service' });
  }
}

/** Shims and OCI runtimes that live. */
async function shimsAndRuntimes(): Promise<string[]> {
  const processes = await must('ps', ['-e', '-o', 'pid=,args=']);
  return processes.split('\n').filter((line) => /^ *\d+ \S*(gantry-shim|runc|crun)\b/.test(line));
}

/** The one that a running daemon keeps for its next start. */
const isSpare = (line: string): boolean => line.includes('gantry-shim serve unassigned');

async function lookOnce(dataRoot: string): Promise<string[]> {
  const leaks: string[] = [];
  const mounts = await readFile('/proc/self/mountinfo', 'utf8');
  for (const line of mounts.split('\n')) if (line.includes(' - overlay ')) leaks.push(`mount: ${line}`);
  const links = await must('ip', ['-o', 'link', 'show', 'type', 'veth']);
  for (const line of links.split('\n').filter((text) => text !== '')) leaks.push(`link: ${line}`);
  for (const line of await shimsAndRuntimes()) if (!isSpare(line)) leaks.push(`process: ${line}`);
  const cgroups = await readdir('/sys/fs/cgroup', { recursive: true, withFileTypes: true });
  for (const { parentPath, name } of cgroups)
    if (/^[0-9a-f]{64}$/.test(name)) leaks.push(`cgroup: ${join(parentPath, name)}`);
  for (const folder of ['/run/gantry/tasks', '/run/gantry/netns', `${dataRoot}/containers`]) {
    const names = existsSync(folder) ? await readdir(folder) : [];
    for (const name of names.filter((text) => /^[0-9a-f]{12,64}$/.test(text)))
      leaks.push(`${folder}/${name}`);
  }
  const rules = await must('nft', ['list', 'ruleset']);
  for (const line of rules.split('\n'))
    if (/172\.\d+\.\d+\.\d+ \. \d+/.test(line)) leaks.push(`nft: ${line.trim()}`);
  return leaks;
}

async function findLeaks(dataRoot: string): Promise<string[]> {
  let leaks: string[] = [];
  await until(
    async () => {
      leaks = await lookOnce(dataRoot);
      return leaks.length === 0 ? true : undefined;
    },
    { timeoutMs: 30_000, what: 'nothing left behind' },
  ).catch(() => undefined);
  return leaks;
}

/** Starts the service for a test: `await using service = await startService()`. */
export async function startService(options: ServiceOptions = {}): Promise<Service> {
  await must('ip', ['link', 'set', 'lo', 'up']);
  if ((await run('ip', ['link', 'show', 'ext0'])).exit !== 0) {
    await must('ip', ['link', 'add', 'ext0', 'type', 'bridge']);
    await must('ip', ['addr', 'add', `${HOST_ADDRESS}/24`, 'dev', 'ext0']);
    await must('ip', ['link', 'set', 'ext0', 'up']);
  }
  const service = new Service(options);
  await service.start();
  for (const image of options.images ?? ['busybox']) {
    const raw = await readFile(ARCHIVES[image]);
    const answer = await service.must('/images/load?quiet=1', { method: 'POST', raw });
    if (answer.body.includes('"error"')) throw new Error(`load: ${answer.body.toString()}`);
  }
  return service;
}
