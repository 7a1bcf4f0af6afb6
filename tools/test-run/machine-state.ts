import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';

/** Everything on this machine that a test run could leave behind, as one line each. */
export function machineState(): Set<string> {
  return new Set([
    ...mounts(),
    ...networkNamespaces(),
    ...links(),
    ...tables(),
    ...cgroups(),
    ...processes(),
    ...deviceNodes(),
  ]);
}

/** The host's own nodes, which containers get copies of: nobody may have changed them. */
function deviceNodes(): string[] {
  return ['null', 'zero', 'full', 'random', 'urandom', 'tty', 'ptmx'].flatMap((name) => {
    const path = join('/dev', name);
    if (!existsSync(path)) return [];
    const { mode, uid, gid, rdev } = statSync(path);
    return [`node ${path} ${mode.toString(8)} ${uid}:${gid} ${rdev}`];
  });
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function mounts(): string[] {
  const lines = readText('/proc/self/mountinfo').split('\n');
  return lines.filter((line) => line !== '').map((line) => `mount ${line.split(' ')[4] ?? ''}`);
}

function names(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

function networkNamespaces(): string[] {
  return names('/run/netns').map((name) => `network namespace ${name}`);
}

function links(): string[] {
  return names('/sys/class/net').map((name) => `link ${name}`);
}

function tables(): string[] {
  const listed = spawnSync('nft', ['list', 'tables'], { encoding: 'utf8' });
  return (listed.stdout ?? '')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => `nft ${line}`);
}

/** Our own cgroups by name, and what stands below the parent that engines share; once for all hierarchies. */
function cgroups(): string[] {
  const hierarchies = readText('/proc/self/mountinfo')
    .split('\n')
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => line.split(' ')[4] ?? '');
  const found = hierarchies.flatMap((hierarchy) => [
    ...names(hierarchy).filter((name) => /^(gantry|gt-)/.test(name)),
    ...names(join(hierarchy, 'docker'))
      .filter((name) => /^[0-9a-f]{64}$/.test(name))
      .map((name) => `docker/${name}`),
  ]);
  return [...new Set(found)].map((path) => `cgroup /${path}`);
}

function isOurProcess(pid: string): boolean {
  // A zombie is its parent's business, and has no command line to be known by.
  if (/^State:\s+Z/m.test(readText(`/proc/${pid}/status`))) return false;
  if (/^(gantry|runc)/.test(readText(`/proc/${pid}/comm`))) return true;
  return /dist\/gantryd\.cjs|gantry-shim|(^|\/)runc\0/.test(readText(`/proc/${pid}/cmdline`));
}

function processes(): string[] {
  return names('/proc')
    .filter((name) => /^\d+$/.test(name) && isOurProcess(name))
    .map((pid) => `process ${pid} ${readText(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').slice(0, 200)}`);
}

/** What is there now and was not before; what the kernel takes away late gets some seconds. */
export async function findLeaks(before: ReadonlySet<string>, patienceMs: number): Promise<string[]> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const leaks = [...machineState()].filter((line) => !before.has(line));
    if (leaks.length === 0 || Date.now() > deadline) return leaks;
    await sleep(100);
  }
}
