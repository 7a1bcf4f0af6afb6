import type { Kernel } from '#host/kernel.ts';
import { limitWrites, type LimitChange, type LimitWrite } from './limit-writes.ts';

/** Writes all of them or, when the kernel refuses one, none. What is returned writes back what was there. */
export async function applyLimits(
  cgroups: Pick<Kernel['cgroups'], 'version' | 'read' | 'write'>,
  cgroupPath: string,
  change: LimitChange,
): Promise<() => Promise<void>> {
  const write = ({ controller, ...entry }: LimitWrite): Promise<void> =>
    cgroups.write(cgroupPath, controller, entry);
  const before: LimitWrite[] = [];
  const undo = async (): Promise<void> => {
    for (const old of [...before].reverse()) await write(old);
  };
  const memory = Number(cgroups.read(cgroupPath, 'memory', 'memory.limit_in_bytes') ?? 0);
  try {
    for (const wanted of limitWrites(cgroups.version, change, memory)) {
      const { controller, file } = wanted;
      const old = cgroups.read(cgroupPath, controller, file)?.trim();
      await write(wanted);
      // An empty text would be no write at all.
      if (old !== undefined) before.push({ controller, file, value: old === '' ? '\n' : old });
    }
  } catch (error) {
    await undo().catch(() => undefined);
    throw error;
  }
  return undo;
}
