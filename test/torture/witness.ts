import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestDaemon } from '../support/daemon.ts';
import { cgroupHierarchies } from '../support/leaks.ts';
import type { ListedContainer, Witness } from './rules.ts';

interface Inspected {
  readonly Id: string;
  readonly Name: string;
  readonly State: {
    readonly Status: string;
    readonly Pid: number;
    readonly ExitCode: number;
    readonly FinishedAt: string;
  };
  readonly HostConfig: { readonly AutoRemove: boolean };
}

async function listContainers(daemon: TestDaemon): Promise<ListedContainer[]> {
  const list = (await daemon.api('/containers/json?all=1')).json as { Id: string }[];
  const answers = await Promise.all(list.map(({ Id }) => daemon.api(`/containers/${Id}/json`)));
  return answers
    .filter((answer) => answer.status === 200)
    .map((answer) => answer.json as Inspected)
    .map((inspected) => ({
      id: inspected.Id,
      name: inspected.Name.slice(1),
      status: inspected.State.Status,
      pid: inspected.State.Pid,
      exitCode: inspected.State.ExitCode,
      finishedAt: inspected.State.FinishedAt,
      autoRemove: inspected.HostConfig.AutoRemove,
    }));
}

/** Container id → processes, over all hierarchies. */
async function cgroupProcesses(parent: string): Promise<Map<string, number[]>> {
  const found = new Map<string, number[]>();
  for (const hierarchy of await cgroupHierarchies()) {
    const folder = join(hierarchy, parent);
    for (const id of (await readdir(folder).catch(() => [])).filter((name) => /^[0-9a-f]{64}$/.test(name))) {
      const text = await readFile(join(folder, id, 'cgroup.procs'), 'utf8').catch(() => '');
      const pids = text
        .split('\n')
        .filter((line) => line !== '')
        .map(Number);
      found.set(id, [...new Set([...(found.get(id) ?? []), ...pids])]);
    }
  }
  return found;
}

/** Container ids on the command lines of the shims whose working folder is below the exec root. */
async function shimIds(execRoot: string): Promise<string[]> {
  const ids: string[] = [];
  for (const pid of (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))) {
    const folder = await readlink(`/proc/${pid}/cwd`).catch(() => '');
    if (!folder.startsWith(execRoot)) continue;
    const id = /[0-9a-f]{64}/.exec(await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''))?.[0];
    if (id !== undefined) ids.push(id);
  }
  return ids;
}

/** Asks the API and the kernel. */
export async function takeWitness(daemon: TestDaemon): Promise<Witness> {
  const parent = daemon.cgroupParent;
  if (parent === null) throw new Error('the checker needs a cgroup parent of its own');
  const entries = await readdir('/proc');
  return {
    listed: await listContainers(daemon),
    cgroupProcesses: await cgroupProcesses(parent),
    shims: await shimIds(daemon.execRoot),
    taskFolders: (await readdir(join(daemon.execRoot, 'tasks')).catch(() => [])).filter((name) =>
      /^[0-9a-f]{64}$/.test(name),
    ),
    alive: new Set(entries.filter((entry) => /^\d+$/.test(entry)).map(Number)),
  };
}
