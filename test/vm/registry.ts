import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { must, run, until } from '../support/command.ts';
import { PASSWORDS } from '../support/registry/real.ts';

const REPOSITORY = join(import.meta.dirname, '../..');
const UNIT = 'gantry-registry.service';
const PASSWORD_FILE = '/run/gantry-registry.htpasswd';
const USUAL_DATA = '/var/lib/gantry-registry';
/** Two programs start, one after the other, in an emulated machine. */
const PATIENCE_MS = 120_000;

export const REGISTRY = '127.0.0.1:5000';
export const ACCOUNT = { username: 'u', password: 'secret', serveraddress: REGISTRY } as const;
export const CREDENTIALS = {
  'x-registry-auth': Buffer.from(JSON.stringify(ACCOUNT)).toString('base64url'),
} as const;

/** `gantry registry serve` with a password, as a unit of the service manager. */
export interface Registry extends AsyncDisposable {
  /** SIGKILL, and what comes back with the same folder. */
  crash(): Promise<void>;
}

async function begin(data: string): Promise<void> {
  const command = [join(REPOSITORY, 'bin/gantry'), 'registry', 'serve', '--addr', REGISTRY];
  const flags = ['--data', data, '--auth', PASSWORD_FILE];
  await must('systemd-run', ['--quiet', '--collect', `--unit=${UNIT}`, ...command, ...flags]);
  const ping = ['-s', '-o', '/dev/null', '-w', '%{http_code}', `http://${REGISTRY}/v2/`];
  await until(async () => ((await run('curl', ping)).stdout === '401' ? true : undefined), {
    what: 'an answer of the registry',
    timeoutMs: PATIENCE_MS,
  });
}

async function isGone(): Promise<true | undefined> {
  return (await run('systemctl', ['is-active', '--quiet', UNIT])).exit === 0 ? undefined : true;
}

/** `data` is a folder to be kept; without it there is one that goes with the registry. */
export async function startRegistry(data?: string): Promise<Registry> {
  const folder = data ?? USUAL_DATA;
  await mkdir(folder, { recursive: true });
  await writeFile(PASSWORD_FILE, PASSWORDS);
  await begin(folder);
  return {
    async crash() {
      await must('systemctl', ['kill', '--signal=KILL', UNIT]);
      await until(isGone, { what: 'the end of the registry' });
      await begin(folder);
    },
    async [Symbol.asyncDispose]() {
      await run('systemctl', ['stop', UNIT]);
      if (data === undefined) await rm(folder, { recursive: true, force: true });
    },
  };
}
