import { chmod, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncDirectory } from '#base/durable-record.ts';
import { EngineError, errorCode } from '#base/errors.ts';
import { isFullId, randomId } from '#base/ids.ts';
import type { Kernel } from '#host/kernel.ts';

/** Held while this daemon lives; it names the process, so that a dead one's is taken over. */
export interface RootLock {
  release(): Promise<void>;
}

async function holder(path: string, kernel: Pick<Kernel, 'processes'>): Promise<number | null> {
  const [pid, startTime] = (await readFile(path, 'utf8').catch(() => '')).trim().split(' ').map(Number);
  if (pid === undefined || startTime === undefined) return null;
  return kernel.processes.alive({ pid, startTime }) ? pid : null;
}

async function lock(path: string, kernel: Pick<Kernel, 'processes'>, what: string): Promise<RootLock> {
  const identity = kernel.processes.identity(process.pid);
  const mine = `${process.pid} ${identity?.startTime ?? 0}\n`;
  for (;;) {
    try {
      await writeFile(path, mine, { flag: 'wx', mode: 0o600 });
      return { release: () => rm(path, { force: true }) };
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
    }
    const pid = await holder(path, kernel);
    if (pid !== null && pid !== process.pid) {
      throw new EngineError(
        'conflict',
        `${what} is in use by another daemon, process ${pid}: stop it or choose another --data-root`,
      );
    }
    await rm(path, { force: true });
  }
}

/** Makes the data root and takes it for this process alone. */
export async function lockDataRoot(root: string, kernel: Pick<Kernel, 'processes'>): Promise<RootLock> {
  await mkdir(root, { recursive: true, mode: 0o711 });
  await chmod(root, 0o711);
  return lock(join(root, 'daemon.lock'), kernel, `the data root ${root}`);
}

/** The data root's own name, 64 hexadecimal digits, made once: every kernel object's name derives from it. */
export async function readInstance(root: string): Promise<string> {
  const path = join(root, 'instance');
  const known = (await readFile(path, 'utf8').catch(() => '')).trim();
  if (isFullId(known)) return known;
  const instance = randomId();
  const handle = await open(`${path}.tmp`, 'w', 0o644);
  try {
    await handle.writeFile(`${instance}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(`${path}.tmp`, path);
  await syncDirectory(root);
  return instance;
}

/** Writes the pid file; a living process in it is an error. */
export async function writePidFile(path: string, kernel: Pick<Kernel, 'processes'>): Promise<RootLock> {
  await mkdir(dirname(path), { recursive: true });
  const old = Number((await readFile(path, 'utf8').catch(() => '')).trim());
  const facts = Number.isInteger(old) && old > 0 && old !== process.pid ? kernel.processes.facts(old) : null;
  if (facts !== null && facts.state !== 'Z' && /gantryd|node/i.test(facts.command)) {
    throw new EngineError('conflict', `process with PID ${old} is still running: its pid file is ${path}`);
  }
  await writeFile(path, String(process.pid), { mode: 0o644 });
  return { release: () => rm(path, { force: true }) };
}
