import { readdir, readFile, readlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { must } from '../support/command.ts';
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
  readonly NetworkSettings: { readonly IPAddress: string; readonly SandboxKey: string };
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
      address: inspected.NetworkSettings.IPAddress,
      sandbox: basename(inspected.NetworkSettings.SandboxKey),
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

/** Container ids in the aliases of the veths on the host's side. */
async function linkedIds(daemon: TestDaemon): Promise<string[]> {
  const links = await must('ip', ['-n', daemon.network, '-o', 'link']);
  return [...links.matchAll(/ veth.* alias \S+ [0-9a-f]{64} ([0-9a-f]{64})/g)].map(([, id]) => id ?? '');
}

/** Addresses that the daemon's nft table sends published ports to. */
async function publishedAddresses(daemon: TestDaemon): Promise<string[]> {
  const instance = await readFile(join(daemon.dataRoot, 'instance'), 'utf8');
  const table = ['list', 'table', 'inet', `gantry-${instance.slice(0, 6)}`];
  const { stdout } = await daemon.inNetwork(['nft', ...table]);
  return [...stdout.matchAll(/ : (\d+\.\d+\.\d+\.\d+) \. \d+/g)].map(([, address]) => address ?? '');
}

/** Mount points below the daemon's folder, on the host. */
async function mountPoints(daemon: TestDaemon): Promise<string[]> {
  const mounts = await readFile(`/proc/${daemon.pid}/mountinfo`, 'utf8');
  return mounts
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path.startsWith(`${daemon.root}/`));
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
    links: await linkedIds(daemon),
    sandboxes: (await readdir(join(daemon.execRoot, 'netns')).catch(() => [])).filter((n) => n !== 'default'),
    publishedAddresses: await publishedAddresses(daemon),
    mounts: await mountPoints(daemon),
    alive: new Set(entries.filter((entry) => /^\d+$/.test(entry)).map(Number)),
  };
}
