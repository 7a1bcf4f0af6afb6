import { readdir, readFile, readlink } from 'node:fs/promises';

/** Programs that an engine keeps for its containers and for itself. */
const HELPERS = [
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
  /** Only processes whose command line names this; for engines that share the machine's pid namespace. */
  readonly naming?: string;
}

/** KiB of proportional set size of the engine's processes: `daemon` and its `helpers` apart. */
export async function engineMemory(
  engine: EngineProcesses,
): Promise<{ daemonKib: number; helpersKib: number }> {
  const namespace = await readlink(`/proc/${engine.pid}/ns/pid`);
  let daemonKib = 0;
  let helpersKib = 0;
  for (const pid of (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))) {
    if ((await readlink(`/proc/${pid}/ns/pid`).catch(() => '')) !== namespace) continue;
    const commandLine = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll(
      '\0',
      ' ',
    );
    const name = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim();
    if (engine.naming !== undefined && !commandLine.includes(engine.naming)) continue;
    const isDaemon =
      engine.naming === undefined
        ? ['dockerd', 'containerd', 'podman'].includes(name)
        : Number(pid) === engine.pid;
    if (isDaemon) daemonKib += await pssKib(pid);
    else if (HELPERS.some((helper) => name.startsWith(helper.slice(0, 15)) || commandLine.includes(helper)))
      helpersKib += await pssKib(pid);
  }
  return { daemonKib, helpersKib };
}
