import { readdir, readFile, readlink } from 'node:fs/promises';

/** Programs that an engine keeps for its containers and for itself. */
const COMPANIONS = [
  'dockerd',
  'containerd',
  'containerd-shim',
  'docker-proxy',
  'podman',
  'conmon',
  'netavark',
  'gantry-shim',
];

async function pssKib(pid: string): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
  return Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1] ?? 0);
}

export interface EngineProcesses {
  /** Any process of the pid namespace that the engine runs in. */
  readonly pid: number;
  /**
   * Only processes whose command line or working folder names this; for engines that share the machine's pid
   * namespace.
   */
  readonly naming?: string;
}

/** KiB of proportional set size of the engine's processes: `daemon` and its `companions` apart. */
export async function engineMemory(
  engine: EngineProcesses,
): Promise<{ daemonKib: number; companionsKib: number }> {
  const namespace = await readlink(`/proc/${engine.pid}/ns/pid`);
  let daemonKib = 0;
  let companionsKib = 0;
  for (const pid of (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))) {
    if ((await readlink(`/proc/${pid}/ns/pid`).catch(() => '')) !== namespace) continue;
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    const folder = await readlink(`/proc/${pid}/cwd`).catch(() => '');
    const name = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim();
    const isOther = engine.naming !== undefined && !`${commandLine} ${folder}`.includes(engine.naming);
    if (isOther) continue;
    const isDaemon =
      engine.naming === undefined
        ? ['dockerd', 'containerd', 'podman'].includes(name)
        : Number(pid) === engine.pid;
    if (isDaemon) daemonKib += await pssKib(pid);
    else if (COMPANIONS.some((one) => name.startsWith(one.slice(0, 15)))) companionsKib += await pssKib(pid);
  }
  return { daemonKib, companionsKib };
}
