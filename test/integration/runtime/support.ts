import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { newContainerId } from '#base/ids.ts';
import { createLog, type Log } from '#base/log.ts';
import type { Kernel } from '#host/kernel.ts';
import { createKernel } from '#host/real.ts';
import { readHostFacts } from '#runtime/host-facts.ts';
import type { RuntimeDefinition } from '#runtime/runtimes.ts';
import { buildRuntimeSpec, type SpecInput } from '#runtime/spec.ts';
import { createTaskService } from '#runtime/task-service.ts';
import { testRuntimes } from '../../support/runtimes.ts';
import type { AttachStream, ExitRecord, RunningTask, StartRequest, TaskService } from '#runtime/task.ts';
import { PLAIN_INPUT } from '../../support/spec-input.ts';

export const SHIM = fileURLToPath(new URL('../../../dist/native/gantry-shim', import.meta.url));
const APPLETS = [
  'sh',
  'cat',
  'echo',
  'sleep',
  'true',
  'false',
  'id',
  'dd',
  'stty',
  'ps',
  'readlink',
  'kill',
  'env',
  'pwd',
  'trap',
  'wc',
];

/** Why these tests cannot run here, or false. */
export function cannotRun(): string | false {
  if (process.getuid?.() !== 0) return 'needs root';
  return existsSync('/usr/sbin/runc') && existsSync('/bin/busybox') ? false : 'needs runc and busybox';
}

export interface ServiceOptions {
  readonly startLimitMs?: number;
  readonly shim?: { readonly path: string };
  readonly spareShims?: number;
  readonly kernel?: Kernel;
  readonly log?: Log;
}

export interface World {
  readonly kernel: Kernel;
  readonly execRoot: string;
  readonly parent: string;
  readonly shimCgroup: string;
  readonly rootfs: string;
  readonly exits: Map<string, PromiseWithResolvers<ExitRecord>>;
  readonly execExits: Map<string, PromiseWithResolvers<ExitRecord>>;
  readonly ooms: string[];
  readonly input: (id: string, given: Partial<SpecInput>) => SpecInput;
  /**
   * A service of its own, as a daemon that starts anew would have one. With definitions the OCI runtime
   * `runc` of them is the default.
   */
  service(definitions?: Record<string, RuntimeDefinition>, options?: ServiceOptions): TaskService;
  run(tasks: TaskService, args: string[], options?: RunOptions): Promise<RunningTask & { id: string }>;
  exited(id: string): Promise<ExitRecord>;
}

export interface RunOptions {
  readonly id?: string;
  readonly spec?: Partial<SpecInput>;
  readonly request?: Partial<StartRequest>;
}

function makeRootfs(rootfs: string): void {
  for (const name of ['bin', 'etc', 'proc', 'dev', 'sys', 'tmp'])
    mkdirSync(join(rootfs, name), { recursive: true });
  copyFileSync('/bin/busybox', join(rootfs, 'bin/busybox'));
  for (const applet of APPLETS) symlinkSync('busybox', join(rootfs, 'bin', applet));
  writeFileSync(join(rootfs, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
}

/** The pieces that describe a world by its exec root alone, so that another process can use the same one. */
export function joinWorld(execRoot: string, kernel: Kernel = createKernel()): World {
  const parent = `/${execRoot.slice(execRoot.lastIndexOf('/') + 1)}`;
  const host = readHostFacts(kernel);
  const exits: World['exits'] = new Map();
  const execExits: World['execExits'] = new Map();
  const ooms: string[] = [];
  const pending = <T>(map: Map<string, PromiseWithResolvers<T>>, key: string): PromiseWithResolvers<T> => {
    const entry = map.get(key) ?? Promise.withResolvers<T>();
    map.set(key, entry);
    return entry;
  };
  const log = createLog({ level: 'warn', format: 'pretty', write: (line) => process.stderr.write(line) });
  const world: World = {
    kernel,
    execRoot,
    parent,
    shimCgroup: `${parent}/shims`,
    rootfs: join(execRoot, 'image'),
    exits,
    execExits,
    ooms,
    exited: (id) => pending(exits, id).promise,
    input: (id, given) => ({ ...defaults(id, parent), host, ...given }),
    service: (definitions, options = {}) =>
      createTaskService({
        kernel,
        runtimes: testRuntimes(definitions),
        execRoot,
        shim: { path: SHIM },
        shimCgroup: `${parent}/shims`,
        handlers: {
          onExit: (id, exit) => pending(exits, id).resolve(exit),
          onExecExit: (_id, execId, exit) => pending(execExits, execId).resolve(exit),
          onOom: (id) => ooms.push(id),
        },
        log,
        ...options,
      }),
    run: (tasks, args, options = {}) => run(world, tasks, { args, ...options }),
  };
  return world;
}

function defaults(id: string, parent: string): Omit<SpecInput, 'host'> {
  const hostname = id.slice(0, 12);
  return { ...PLAIN_INPUT, id, hostname, cgroupPath: `${parent}/${id}`, shmSizeBytes: 1 << 20 };
}

interface RunGiven extends RunOptions {
  readonly args: string[];
}

async function run(world: World, tasks: TaskService, given: RunGiven): Promise<RunningTask & { id: string }> {
  const id = given.id ?? newContainerId();
  const input = world.input(id, { args: given.args, ...given.spec });
  const rootfsFd = await world.kernel.mounts.cloneTree(world.rootfs);
  try {
    const started = await tasks.start({
      id,
      spec: buildRuntimeSpec(input),
      rootfsFd,
      terminal: input.terminal,
      openStdin: false,
      stdinOnce: false,
      log: null,
      cgroupPath: input.cgroupPath,
      ...given.request,
    });
    return { id, ...started };
  } finally {
    closeSync(rootfsFd);
  }
}

/** A world that is taken apart when the test ends, and checked for leftovers. */
export function makeWorld(t: TestContext): World {
  const world = joinWorld(mkdtempSync('/run/gantry-test-'));
  makeRootfs(world.rootfs);
  t.after(async () => {
    const { cgroups } = world.kernel;
    try {
      const tasks = world.service();
      for (const id of (await tasks.reattach()).keys()) await tasks.delete(id);
      await tasks.close();
      await waitFor(() => cgroups.processes(world.parent).length === 0);
    } finally {
      // A test that failed, also because of this very check, leaves nothing to the next one.
      await cgroups.kill(world.parent);
      await cgroups.remove(world.parent);
      rmSync(world.execRoot, { recursive: true, force: true });
    }
  });
  return world;
}

/** Polls something that has no event for this process. */
export async function waitFor(condition: () => boolean, limitMs = 10_000): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('the condition did not come true');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export async function readAll(stream: AttachStream): Promise<{ stdout: string; stderr: string }> {
  const texts = { stdout: '', stderr: '' };
  for await (const frame of stream.output as AsyncIterable<{ stream: 'stdout' | 'stderr'; data: Buffer }>) {
    texts[frame.stream] += frame.data.toString('utf8');
  }
  return texts;
}
