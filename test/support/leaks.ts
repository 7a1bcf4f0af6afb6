import { existsSync } from 'node:fs';
import { readdir, readFile, readlink, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { run, until } from './command.ts';
import type { TestDaemon } from './daemon.ts';

/**
 * Process ids whose command line names `path`, or whose working folder is there: a shim's command line names
 * no path.
 */
export async function processesNaming(path: string): Promise<number[]> {
  const found: number[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const commandLine = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '');
    const folder = await readlink(`/proc/${entry}/cwd`).catch(() => '');
    if (commandLine.includes(path) || `${folder}/`.startsWith(`${path}/`)) found.push(Number(entry));
  }
  return found;
}

export async function killProcessesNaming(text: string): Promise<void> {
  for (const pid of await processesNaming(text)) {
    if (pid === process.pid) continue;
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself in between.
    }
  }
}

/** The mount points of every cgroup hierarchy. */
export async function cgroupHierarchies(): Promise<string[]> {
  const mounts = await readFile('/proc/self/mountinfo', 'utf8');
  return mounts
    .split('\n')
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path.startsWith('/sys/fs/cgroup'));
}

async function subdirectories(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(path, entry.name));
}

async function removeTree(path: string): Promise<void> {
  for (const child of await subdirectories(path)) await removeTree(child);
  await rmdir(path).catch(() => undefined);
}

/** Removes a test's own cgroup, in every hierarchy; what ended a moment ago may hold it for a moment more. */
export async function removeCgroups(parent: string): Promise<void> {
  const groups = (await cgroupHierarchies()).map((hierarchy) => join(hierarchy, parent));
  await until(
    async () => {
      for (const group of groups) await removeTree(group);
      return groups.some((group) => existsSync(group)) ? undefined : true;
    },
    { timeoutMs: 5000, what: `end of cgroup ${parent}` },
  );
}

async function leftCgroups(parent: string): Promise<string[]> {
  const all = await Promise.all((await cgroupHierarchies()).map((h) => subdirectories(join(h, parent))));
  return all.flat();
}

async function lookOnce(daemon: TestDaemon): Promise<string[]> {
  const leaks: string[] = [];
  const mounts = await readFile(`/proc/${daemon.pid}/mountinfo`, 'utf8');
  for (const line of mounts.split('\n')) if (line.includes(` ${daemon.root}/`)) leaks.push(`mount: ${line}`);
  const links = await run('ip', ['-n', daemon.network, '-o', 'link']);
  const instance = (await readFile(join(daemon.dataRoot, 'instance'), 'utf8').catch(() => '')).trim();
  for (const line of links.stdout.split('\n'))
    if (line.includes('veth') && line.includes(instance)) leaks.push(`link: ${line}`);
  for (const pid of await processesNaming(`${daemon.execRoot}/tasks`)) leaks.push(`process: ${pid}`);
  if (daemon.cgroupParent !== null) {
    for (const path of await leftCgroups(daemon.cgroupParent)) leaks.push(`cgroup: ${path}`);
  }
  for (const folder of ['tasks', 'netns']) {
    const names = await readdir(join(daemon.execRoot, folder)).catch(() => []);
    for (const name of names.filter((n) => n !== 'default')) leaks.push(`runtime file: ${folder}/${name}`);
  }
  const writable = await readdir(join(daemon.dataRoot, 'containers')).catch(() => []);
  for (const name of writable.filter((n) => /^[0-9a-f]{64}$/.test(n))) leaks.push(`container: ${name}`);
  const table = ['list', 'table', 'inet', `gantry-${instance.slice(0, 6)}`];
  const rules = await run('nsenter', [`--net=/run/netns/${daemon.network}`, '--', 'nft', ...table]);
  for (const line of rules.stdout.split('\n'))
    if (/172\.\d+\.\d+\.\d+ \. \d+/.test(line)) leaks.push(`nft: ${line.trim()}`);
  return leaks;
}

/**
 * What is left after every container was removed; things that the kernel takes away late get five seconds.
 */
export async function findLeaks(daemon: TestDaemon): Promise<string[]> {
  let leaks: string[] = [];
  await until(
    async () => {
      leaks = await lookOnce(daemon);
      return leaks.length === 0 ? true : undefined;
    },
    { timeoutMs: 5000, what: 'nothing left behind' },
  ).catch(() => undefined);
  return leaks;
}
