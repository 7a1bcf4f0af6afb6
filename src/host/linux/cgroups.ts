import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode } from '#base/errors.ts';
import type { CgroupHierarchy, CgroupLayout, Cgroups } from '../kernel.ts';
import { cgroupLayout } from './cgroup-layout.ts';
import { errnoNumber, kernelError } from './errno.ts';
import { parseMountTable } from './mount-table.ts';
import { AT } from './file-paths.ts';
import { type Call, check, type Operation, type Sys } from './sys.ts';

const SIGKILL = 9;
const KILL_TIMEOUT_MS = 5000;
/** How long exiting processes may keep a group, and a freeze may take. */
const SETTLE_MS = 1000;
const POLL_MS = 5;

/** How a child gets into its group: born there on v2, by writing itself into the files on v1. */
export interface CgroupEntry {
  readonly fd: number;
  readonly tasksFiles: readonly string[];
  close(): void;
}

export interface CgroupsInside extends Cgroups {
  entry(path: string): CgroupEntry;
}

function readOrNull(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENODEV', 'EOPNOTSUPP'].includes(errorCode(error) ?? '')) return null;
    throw error;
  }
}

function childNames(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** The directory and all below it, deepest first. */
function* descendants(directory: string): Generator<string> {
  for (const name of childNames(directory)) yield* descendants(join(directory, name));
  yield directory;
}

/**
 * A fresh v1 cpuset has neither CPUs nor memory nodes and takes no process (ENOSPC) before it gets its
 * parent's.
 */
function inheritCpuset(directory: string): void {
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    if (readFileSync(join(directory, file), 'utf8').trim() !== '') continue;
    writeFileSync(join(directory, file), readFileSync(join(dirname(directory), file), 'utf8'));
  }
}

function makeGroup(hierarchy: CgroupHierarchy, path: string): void {
  let directory = hierarchy.mountPoint;
  for (const name of path.split('/').filter((part) => part !== '')) {
    directory = join(directory, name);
    try {
      mkdirSync(directory);
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
    }
    if (hierarchy.version === 1 && hierarchy.controllers.includes('cpuset')) inheritCpuset(directory);
  }
}

const REMOVE_DIRECTORY = 0x200;

/**
 * One thread for all of them: a removal waits for the kernel's one lock over all groups, which can take
 * hundreds of milliseconds. True when they are gone; false when something is still in one of them.
 */
function* removeGroups(groups: readonly string[]): Operation<boolean> {
  const calls = groups.map((group): Call => ['unlinkat', AT.FDCWD, group, REMOVE_DIRECTORY]);
  const results = yield calls;
  let gone = true;
  for (const [i, result] of results.entries()) {
    if (result === -errnoNumber('EBUSY') || result === -errnoNumber('ENOTEMPTY')) gone = false;
    else if (result < 0 && result !== -errnoNumber('ENOENT')) check(result, 'rmdir', groups[i]);
  }
  return gone;
}

async function until(condition: () => boolean | Promise<boolean>, timeoutMs: number): Promise<boolean> {
  const end = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > end) return false;
    await sleep(POLL_MS);
  }
  return true;
}

class LinuxCgroups implements CgroupsInside {
  readonly version: Cgroups['version'];
  readonly controllers: readonly string[];
  readonly #sys: Sys;
  readonly #hierarchies: readonly CgroupHierarchy[];

  constructor(sys: Sys) {
    const mounts = parseMountTable(readFileSync('/proc/self/mountinfo', 'utf8'));
    const layout = cgroupLayout(mounts, (mountPoint) =>
      (readOrNull(join(mountPoint, 'cgroup.controllers')) ?? '').split(/\s+/).filter((name) => name !== ''),
    );
    this.#sys = sys;
    this.version = layout.version;
    this.#hierarchies = layout.hierarchies;
    const names = layout.hierarchies.flatMap((hierarchy) => hierarchy.controllers);
    this.controllers = [...new Set(names.filter((name) => !name.startsWith('name=')))].sort();
  }

  layout(): CgroupLayout {
    return { version: this.version, hierarchies: this.#hierarchies };
  }

  create(path: string): void {
    for (const hierarchy of this.#hierarchies) makeGroup(hierarchy, checked(path));
  }

  exists(path: string): boolean {
    return this.#directories(path).some((directory) => existsSync(directory));
  }

  list(path: string): readonly string[] {
    return [...new Set(this.#directories(path).flatMap(childNames))].sort();
  }

  processes(path: string): readonly number[] {
    const pids = new Set<number>();
    for (const top of this.#directories(path)) {
      for (const directory of descendants(top)) {
        for (const pid of (readOrNull(join(directory, 'cgroup.procs')) ?? '').split('\n')) {
          if (pid !== '' && pid !== '0') pids.add(Number(pid));
        }
      }
    }
    return [...pids];
  }

  async kill(path: string, timeoutMs: number = KILL_TIMEOUT_MS): Promise<void> {
    const emptied = await until(() => {
      this.#killOnce(path);
      return this.processes(path).filter((pid) => !this.#isZombie(pid)).length === 0;
    }, timeoutMs);
    if (!emptied) throw kernelError(errnoNumber('EBUSY'), 'kill', path);
  }

  removeEmpty(path: string): Promise<boolean> {
    return this.#sys.later(removeGroups(this.#directories(path)));
  }

  async remove(path: string): Promise<void> {
    const tops = this.#directories(path);
    // Most have none below them, and looking costs more than trying.
    if (await this.removeEmpty(path)) return;
    const all = (): string[] => tops.flatMap((top) => [...descendants(top)]);
    const removed = await until(() => this.#sys.later(removeGroups(all())), SETTLE_MS);
    if (!removed) throw kernelError(errnoNumber('EBUSY'), 'rmdir', path);
  }

  freeze(path: string): Promise<void> {
    return this.#setFrozen(path, true);
  }

  thaw(path: string): Promise<void> {
    return this.#setFrozen(path, false);
  }

  isFrozen(path: string): boolean {
    const freezer = this.#v1('freezer');
    if (freezer !== undefined) return readOrNull(join(freezer, path, 'freezer.state'))?.trim() === 'FROZEN';
    return /^frozen 1$/m.test(readOrNull(join(this.#v2(), path, 'cgroup.events')) ?? '');
  }

  oomKills(path: string): number {
    const memory = this.#v1('memory');
    const file =
      memory === undefined ? [this.#v2(), path, 'memory.events'] : [memory, path, 'memory.oom_control'];
    const count = /^oom_kill (\d+)$/m.exec(readOrNull(join(...file)) ?? '')?.[1];
    return Number(count ?? 0);
  }

  read(path: string, controller: string, file: string): string | null {
    const top = controller === '' ? this.#v2() : this.#v1(controller);
    return top === undefined || top === '' ? null : readOrNull(join(top, checked(path), file));
  }

  async write(
    path: string,
    controller: string,
    entry: { readonly file: string; readonly value: string },
  ): Promise<void> {
    const top = controller === '' ? this.#v2() : this.#v1(controller);
    if (top === undefined || top === '') throw kernelError(errnoNumber('ENOENT'), 'write', entry.file);
    // No `O_CREAT`: a file that is not there is a setting the kernel does not have.
    const { open } = process.getBuiltinModule('node:fs/promises');
    const file = await open(join(top, checked(path), entry.file), 'r+');
    try {
      await file.writeFile(entry.value);
    } finally {
      await file.close();
    }
  }

  entry(path: string): CgroupEntry {
    const tasksFiles: string[] = [];
    let fd = -1;
    for (const hierarchy of this.#hierarchies) {
      const directory = join(hierarchy.mountPoint, checked(path));
      if (hierarchy.version === 2) fd = openSync(directory, 'r');
      else tasksFiles.push(join(directory, 'tasks'));
    }
    return { fd, tasksFiles, close: () => (fd < 0 ? undefined : closeSync(fd)) };
  }

  #directories(path: string): string[] {
    return this.#hierarchies.map((hierarchy) => join(hierarchy.mountPoint, checked(path)));
  }

  #v1(controller: string): string | undefined {
    return this.#hierarchies.find(
      ({ version, controllers }) => version === 1 && controllers.includes(controller),
    )?.mountPoint;
  }

  #v2(): string {
    return this.#hierarchies.find(({ version }) => version === 2)?.mountPoint ?? '';
  }

  /** A zombie stays listed on v1 until it is reaped, which is its parent's business. */
  #isZombie(pid: number): boolean {
    const stat = readOrNull(`/proc/${pid}/stat`);
    return stat === null || /\) [ZX] /.test(stat);
  }

  /** The descriptor is taken before membership is read again, so that a pid's next owner is never hit. */
  #killOnce(path: string): void {
    if (this.version === 'v2' && existsSync(join(this.#v2(), path, 'cgroup.kill'))) {
      writeFileSync(join(this.#v2(), path, 'cgroup.kill'), '1');
      return;
    }
    const handles = this.processes(path).map((pid) => ({ pid, fd: this.#sys.raw('pidfd_open', pid, 0) }));
    const members = new Set(this.processes(path));
    for (const { pid, fd } of handles) {
      if (fd < 0) continue;
      if (members.has(pid)) this.#sys.raw('pidfd_send_signal', fd, SIGKILL, null, 0);
      this.#sys.raw('close', fd);
    }
    // A frozen process dies only when it is thawed.
    const freezer = this.#v1('freezer');
    for (const directory of freezer === undefined ? [] : descendants(join(freezer, path))) {
      const state = join(directory, 'freezer.state');
      if ((readOrNull(state)?.trim() ?? 'THAWED') !== 'THAWED') writeFileSync(state, 'THAWED');
    }
  }

  async #setFrozen(path: string, frozen: boolean): Promise<void> {
    const freezer = this.#v1('freezer');
    const v1State = freezer === undefined ? undefined : join(freezer, checked(path), 'freezer.state');
    if (v1State !== undefined) writeFileSync(v1State, frozen ? 'FROZEN' : 'THAWED');
    else writeFileSync(join(this.#v2(), checked(path), 'cgroup.freeze'), frozen ? '1' : '0');
    // On v1 a process that forks meanwhile is caught by writing again.
    const settled = (): boolean => {
      if (this.isFrozen(path) === frozen) return true;
      if (v1State !== undefined && frozen) writeFileSync(v1State, 'FROZEN');
      return false;
    };
    if (await until(settled, SETTLE_MS)) return;
    if (v1State !== undefined && frozen) writeFileSync(v1State, 'THAWED');
    throw kernelError(errnoNumber('EBUSY'), 'freeze', path);
  }
}

function checked(path: string): string {
  if (!path.startsWith('/') || path.split('/').includes('..'))
    throw kernelError(errnoNumber('EINVAL'), 'cgroup', path);
  return path;
}

export function createCgroups(sys: Sys): CgroupsInside {
  return new LinuxCgroups(sys);
}
