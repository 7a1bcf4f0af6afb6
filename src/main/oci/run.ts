import type { Context } from './context.ts';
import { createContainer } from './create.ts';
import { destroy } from './delete.ts';
import { attend } from './foreground.ts';
import { release as letGo, runPoststart } from './start.ts';
import type { Saved } from './state.ts';

const SIGKILL = 9;

/** create, start and, in the foreground, wait and delete. */
export async function run(context: Context): Promise<number> {
  const { kernel, flags } = context;
  const foreground = !flags.on('detach');
  const { saved, launched, release } = await createContainer(context, { foreground });
  const go = async (): Promise<void> => {
    try {
      try {
        letGo(saved);
      } finally {
        release();
      }
      await runPoststart(context, saved);
    } catch (error) {
      kernel.processes.signal(saved, SIGKILL);
      await deleteEnded(context, saved);
      throw error;
    }
  };
  if (!foreground) {
    await go();
    return 0;
  }
  const exitCode = await attend(kernel, { ...launched, startTime: saved.startTime }, go);
  if (flags.on('keep')) return exitCode;
  await deleteEnded(context, saved);
  return exitCode;
}

async function deleteEnded(context: Context, saved: Saved): Promise<void> {
  const { store } = context;
  const release = await store.lock(saved.id);
  // Somebody else may have deleted it as soon as it had ended.
  if (release === null) return;
  try {
    await destroy(context, store.find(saved.id) ?? saved);
  } finally {
    release();
  }
}
