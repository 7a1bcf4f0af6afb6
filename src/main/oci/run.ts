import type { Context } from './context.ts';
import { createContainer } from './create.ts';
import { destroy } from './delete.ts';
import { attend } from './foreground.ts';
import { startCreated } from './start.ts';

const SIGKILL = 9;

/** create, start and, in the foreground, wait and delete. */
export async function run(context: Context): Promise<number> {
  const { kernel, flags, store } = context;
  const foreground = !flags.on('detach');
  const { saved, launched, release } = await createContainer(context, { foreground });
  const go = async (): Promise<void> => {
    try {
      await startCreated(context, saved);
    } catch (error) {
      kernel.processes.signal(saved, SIGKILL);
      await destroy(context, saved);
      throw error;
    } finally {
      release();
    }
  };
  if (!foreground) {
    await go();
    return 0;
  }
  const exitCode = await attend(kernel, { ...launched, startTime: saved.startTime }, go);
  if (flags.on('keep')) return exitCode;
  const again = await store.lock(saved.id);
  // Somebody else may have deleted it as soon as it had ended.
  if (again === null) return exitCode;
  try {
    await destroy(context, store.find(saved.id) ?? saved);
  } finally {
    again();
  }
  return exitCode;
}
