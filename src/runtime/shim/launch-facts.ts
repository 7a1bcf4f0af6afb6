import { isJsonObject } from '#base/json.ts';

/** What an exec has to know of a container that a launch plan started; as small as that, and no more. */
export interface LaunchFacts {
  /** Types of the namespaces that are not the host's. */
  readonly namespaces: readonly string[];
  readonly personality?: { readonly domain: string; readonly flags?: readonly string[] };
  /** The filter, which lies in the task directory; absent: none. */
  readonly seccomp?: { readonly flags: number; readonly sha256: string };
}

const TYPES: ReadonlySet<string> = new Set([
  'mount',
  'network',
  'uts',
  'pid',
  'ipc',
  'cgroup',
  'user',
  'time',
]);

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((text) => typeof text === 'string');
}

function personality(json: unknown): LaunchFacts['personality'] | null {
  if (!isJsonObject(json)) return null;
  const { domain, flags } = json;
  if (typeof domain !== 'string') return null;
  if (flags === undefined) return { domain };
  return isTextList(flags) ? { domain, flags } : null;
}

function seccomp(json: unknown): LaunchFacts['seccomp'] | null {
  if (!isJsonObject(json)) return null;
  const { flags, sha256 } = json;
  if (typeof flags !== 'number' || !Number.isSafeInteger(flags)) return null;
  return typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256) ? { flags, sha256 } : null;
}

/** null: absent, or not what we write: nothing is guessed about what protects a container. */
export function launchFacts(json: unknown): LaunchFacts | null {
  if (!isJsonObject(json)) return null;
  const { namespaces } = json;
  if (!isTextList(namespaces) || !namespaces.every((type) => TYPES.has(type))) return null;
  const itsPersonality = json.personality === undefined ? undefined : personality(json.personality);
  const filter = json.seccomp === undefined ? undefined : seccomp(json.seccomp);
  if (itsPersonality === null || filter === null) return null;
  return {
    namespaces,
    ...(itsPersonality === undefined ? {} : { personality: itsPersonality }),
    ...(filter === undefined ? {} : { seccomp: filter }),
  };
}
