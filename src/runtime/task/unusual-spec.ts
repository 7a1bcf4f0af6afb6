import type { ContainerSpec } from '../spec.ts';

/** Far below the plan's bounds, far above what containers have. */
const USUAL = { entries: 200, texts: 2000, characters: 256 * 1024 } as const;

/**
 * Whether making the plan may refuse something that nobody has checked before. The plan is made while the
 * shim is born; of such a spec it is made before that, too, so that a refusal comes before anything is made.
 */
export function isUnusual({ process, mounts, linux }: ContainerSpec): boolean {
  const { rlimits = [], env = [], args } = process;
  const { sysctl = {}, devices = [], maskedPaths = [], readonlyPaths = [] } = linux;
  if (rlimits.length > 0 || Object.keys(sysctl).length > 0) return true;
  const rules = linux.resources?.devices ?? [];
  const entries = [mounts, devices, maskedPaths, readonlyPaths, rules].map(({ length }) => length);
  if (entries.some((length) => length > USUAL.entries)) return true;
  if (env.length + args.length > USUAL.texts) return true;
  const length = (texts: readonly string[]): number => texts.reduce((sum, text) => sum + text.length, 0);
  return length(env) + length(args) > USUAL.characters;
}
