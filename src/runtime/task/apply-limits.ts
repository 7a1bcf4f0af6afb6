import type { Kernel } from '#host/kernel.ts';
import type { ResourceWrite } from '../launch-plan/resources.ts';
import { limitWrites, type LimitChange } from './limit-writes.ts';

type Cgroups = Pick<Kernel['cgroups'], 'version' | 'read' | 'write'>;
type LimitWrite = Pick<ResourceWrite, 'controller' | 'file' | 'value'>;

function isIgnored(error: unknown, { ignore = [] }: ResourceWrite): boolean {
  const number = error instanceof Error && 'errno' in error ? Math.abs(Number(error.errno)) : 0;
  return ignore.includes(number);
}

/** Writes all of them or, when the kernel refuses one, none. What is returned writes back what was there. */
export async function applyLimits(
  cgroups: Cgroups,
  cgroupPath: string,
  change: LimitChange,
): Promise<() => Promise<void>> {
  const memory = Number(cgroups.read(cgroupPath, 'memory', 'memory.limit_in_bytes') ?? 0);
  return applyWrites(cgroups, cgroupPath, limitWrites(cgroups.version, change, memory));
}

/** The same for values that are known already. */
export async function applyWrites(
  cgroups: Cgroups,
  cgroupPath: string,
  writes: readonly ResourceWrite[],
): Promise<() => Promise<void>> {
  const write = ({ controller, file, value }: LimitWrite): Promise<void> =>
    cgroups.write(cgroupPath, controller, { file, value });
  const before: LimitWrite[] = [];
  const undo = async (): Promise<void> => {
    for (const old of [...before].reverse()) await write(old);
  };
  try {
    for (const wanted of writes) {
      const { controller, file } = wanted;
      const old = cgroups.read(cgroupPath, controller, file)?.trim();
      try {
        await write(wanted);
      } catch (error) {
        if (isIgnored(error, wanted)) continue;
        throw error;
      }
      // An empty text would be no write at all.
      if (old !== undefined) before.push({ controller, file, value: old === '' ? '\n' : old });
    }
  } catch (error) {
    await undo().catch(() => undefined);
    throw error;
  }
  return undo;
}
