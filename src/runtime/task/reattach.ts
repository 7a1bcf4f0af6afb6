import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorMessage } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import {
  readEndedExecs,
  readExit,
  readInit,
  readShimPid,
  readTaskMeta,
  type TaskMeta,
} from '../shim/files.ts';
import { FIELD, Fields, FRAME, type Frame, SHIM_STATE } from '../shim/protocol.ts';
import { connectShim } from '../shim/spawn.ts';
import { type TaskContext, tasksRoot } from './context.ts';
import { abandon } from './launch.ts';
import { exitOf, LiveTask, processOf } from './live-task.ts';

const STARTING_POLL_MS = 20;

/**
 * What every task directory turned out to be, as tasks that run or ended; the rest is cleaned up: a directory
 * without intent, a
 * start that failed or was not finished by a shim that still lives.
 */
export async function reattachAll(context: TaskContext): Promise<LiveTask[]> {
  const root = tasksRoot(context);
  await mkdir(root, { recursive: true, mode: 0o711 });
  const entries = await readdir(root, { withFileTypes: true });
  const found = await Promise.all(
    entries.map(async (entry) => {
      const directory = join(root, entry.name);
      try {
        return await reattachOne(context, directory, entry.name);
      } catch (error) {
        context.log.error('a task could not be read', { container: entry.name, error: errorMessage(error) });
        return null;
      }
    }),
  );
  return found.filter((task) => task !== null);
}

async function reattachOne(context: TaskContext, directory: string, name: string): Promise<LiveTask | null> {
  const meta = await readTaskMeta(directory);
  if (meta === null || meta.id !== name || meta.bootId !== context.kernel.system.facts().bootId) {
    await rm(directory, { recursive: true, force: true });
    return null;
  }
  const task = new LiveTask(context, directory, meta);
  for (const exec of (await readEndedExecs(directory)).values()) task.execs.set(exec.execId, exec);
  task.shim = (await readShimPid(directory)) ?? task.shim;
  const ended = await endedFromFile(task, meta);
  if (ended !== 'unknown') return ended === 'ended' ? task : dropped(context, task);
  if (task.shim.pid > 0 && context.kernel.processes.alive(task.shim)) {
    const outcome = await askShim(context, task);
    if (outcome === 'live') return task;
    if (outcome === 'dropped') return dropped(context, task);
  }
  return afterShim(context, task, meta);
}

async function dropped(context: TaskContext, task: LiveTask): Promise<null> {
  await abandon(context, task);
  return null;
}

async function endedFromFile(task: LiveTask, meta: TaskMeta): Promise<'ended' | 'failed' | 'unknown'> {
  const file = await readExit(task.directory);
  if (file === null) return 'unknown';
  const init = await readInit(task.directory);
  if (file.pid === 0 || init === null || meta.id !== task.id) return 'failed';
  task.found(file.exit, init);
  return 'ended';
}

/**
 * The shim is gone: the exit file may have come meanwhile; else a task that ran is lost, and a start without
 * end never was.
 */
async function afterShim(context: TaskContext, task: LiveTask, meta: TaskMeta): Promise<LiveTask | null> {
  const ended = await endedFromFile(task, meta);
  if (ended !== 'unknown') return ended === 'ended' ? task : dropped(context, task);
  const init = await readInit(task.directory);
  if (init === null) return dropped(context, task);
  task.started(init);
  await task.lose();
  return task;
}

async function askShim(context: TaskContext, task: LiveTask): Promise<'live' | 'dropped' | 'gone'> {
  try {
    const control = task.connect(await connectShim(task.directory));
    let frames = await control.hello();
    const deadline = Date.now() + Math.min(LIMITS.foundStartMs, context.startLimitMs ?? Infinity);
    while (stateOf(frames) === SHIM_STATE.starting && Date.now() < deadline) {
      await sleep(STARTING_POLL_MS);
      frames = await control.request(FRAME.status);
    }
    return adopt(context, task, frames);
  } catch (error) {
    context.log.warn('a shim did not answer', { container: task.id, error: errorMessage(error) });
    return 'gone';
  }
}

function stateOf(frames: readonly Frame[]): number {
  const hello = frames.find((frame) => frame.type === FRAME.hello);
  return hello === undefined ? SHIM_STATE.failed : new Fields(hello.payload).int(FIELD.state);
}

function versionOf(frames: readonly Frame[]): number {
  const hello = frames.find((frame) => frame.type === FRAME.hello);
  return hello === undefined ? 0 : new Fields(hello.payload).int(FIELD.version);
}

function adopt(context: TaskContext, task: LiveTask, frames: readonly Frame[]): 'live' | 'dropped' {
  const state = stateOf(frames);
  const init = frames.find((frame) => frame.type === FRAME.init);
  if (init === undefined || (state !== SHIM_STATE.running && state !== SHIM_STATE.ended)) return 'dropped';
  task.shimVersion = versionOf(frames);
  const fields = new Fields(init.payload);
  if (state === SHIM_STATE.ended) {
    task.found(exitOf(fields, 1), processOf(fields));
    return 'live';
  }
  for (const frame of frames) {
    if (frame.type !== FRAME.execState) continue;
    const exec = new Fields(frame.payload);
    const execId = exec.text(FIELD.execId);
    task.execs.set(execId, { execId, pid: exec.int(FIELD.pid) });
  }
  task.started(processOf(fields));
  task.attachable = true;
  const { cgroups } = context.kernel;
  task.paused = cgroups.exists(task.meta.cgroupPath) && cgroups.isFrozen(task.meta.cgroupPath);
  return 'live';
}
