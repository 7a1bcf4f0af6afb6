import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PLAIN_ENV, until } from '../../support/command.ts';
import { Registry } from './http.ts';

const REPOSITORY = join(import.meta.dirname, '../../..');
const DOCKER_REGISTRY = '/usr/bin/docker-registry';

export interface RunningRegistry {
  readonly registry: Registry;
  readonly directory: string;
  readonly pid: number;
  kill(signal: NodeJS.Signals): Promise<void>;
  stop(): Promise<void>;
}

export async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

interface Program {
  readonly file: string;
  readonly args: readonly string[];
  readonly directory: string;
  readonly port: number;
}

async function start({ file, args, directory, port }: Program): Promise<RunningRegistry> {
  const log = join(directory, 'log');
  const child: ChildProcess = spawn('sh', ['-c', `exec "$0" "$@" 2>>${log} >>${log}`, file, ...args], {
    env: { ...PLAIN_ENV, HOME: directory },
    stdio: 'ignore',
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const registry = new Registry(port);
  await until(
    async () => {
      if (child.exitCode !== null) throw new Error(`${file} ended: ${readFileSync(log, 'utf8')}`);
      return registry.ask('GET', '/v2/').catch(() => undefined);
    },
    { what: `an answer of ${file}` },
  );
  const kill = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal);
    await ended;
  };
  return { registry, directory, pid: child.pid ?? 0, kill, stop: () => kill('SIGTERM') };
}

/** A directory that goes when the test is over. */
export function scratch(): string {
  return mkdtempSync(join(tmpdir(), 'gt-registry-'));
}

export function forget(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}

export interface OwnOptions {
  readonly directory: string;
  readonly args?: readonly string[];
  readonly port?: number;
  /** A program, with its options, that runs it. */
  readonly under?: readonly string[];
}

/** `gantry-registry`, as it was built. */
export async function startOwn(options: OwnOptions): Promise<RunningRegistry> {
  const { directory, args = [], port, under = [] } = options;
  const chosen = port ?? (await freePort());
  const [file, ...before] = [...under, join(REPOSITORY, 'bin/gantry-registry')];
  const all = [...before, '--addr', `127.0.0.1:${chosen}`, '--data', join(directory, 'data'), ...args];
  return start({ file, args: all, directory, port: chosen });
}

export const hasDockerRegistry = existsSync(DOCKER_REGISTRY);

/** The `docker-registry` of Debian, with deleting switched on. */
export async function startDockerRegistry(directory: string): Promise<RunningRegistry> {
  const port = await freePort();
  const config = {
    version: 0.1,
    log: { level: 'warn' },
    storage: { filesystem: { rootdirectory: join(directory, 'data') }, delete: { enabled: true } },
    http: { addr: `127.0.0.1:${port}` },
  };
  const path = join(directory, 'config.yml');
  writeFileSync(path, JSON.stringify(config));
  return start({ file: DOCKER_REGISTRY, args: ['serve', path], directory, port });
}
