import { EngineError } from '#base/errors.ts';
import { isJsonObject, parseJsonExactly } from '#base/json.ts';
import type { SpecSeccomp, SpecSyscall } from '#oci/runtime-spec.ts';
import { DEFAULT_PROFILE } from './default-profile.ts';
import type { SeccompProfile, SeccompRule } from './profile-type.ts';

interface HostArch {
  /** Node's name of the architecture. */
  readonly arch: string;
  readonly kernelVersion: string;
}

export interface SeccompInput {
  /** `default`, `unconfined`, or JSON. */
  readonly profile: string;
  readonly privileged: boolean;
  /** Bounding set of the container. */
  readonly capabilities: readonly string[];
  readonly host: HostArch;
}

const ARCHES: Readonly<Record<string, { readonly go: string; readonly scmp: string }>> = {
  x64: { go: 'amd64', scmp: 'SCMP_ARCH_X86_64' },
  arm64: { go: 'arm64', scmp: 'SCMP_ARCH_AARCH64' },
  s390x: { go: 's390x', scmp: 'SCMP_ARCH_S390X' },
  ppc64: { go: 'ppc64le', scmp: 'SCMP_ARCH_PPC64LE' },
  riscv64: { go: 'riscv64', scmp: 'SCMP_ARCH_RISCV64' },
};

/**
 * The container's filter; `undefined`: none. A privileged container has one only if a profile was given for
 * it.
 */
export function seccompFor(input: SeccompInput): SpecSeccomp | undefined {
  if (input.profile === 'unconfined') return undefined;
  if (input.profile === 'default' || input.profile === '') {
    return input.privileged ? undefined : resolveProfile(DEFAULT_PROFILE, input);
  }
  return resolveProfile(parseProfile(input.profile), input);
}

/**
 * Errors: `invalidArgument`. Only the form of what this engine reads is checked; the OCI runtime knows names
 * and actions.
 */
function parseProfile(text: string): SeccompProfile {
  const fail = (why: string): never => {
    throw new EngineError('invalidArgument', `Decoding seccomp profile failed: ${why}`);
  };
  const json = parseJsonExactly(text, 'Decoding seccomp profile failed');
  if (!isJsonObject(json)) return fail('not a JSON object');
  const syscalls = json.syscalls ?? [];
  if (!Array.isArray(syscalls) || !syscalls.every(isRule)) return fail('syscalls is not a list of rules');
  const archMap = json.archMap ?? [];
  if (
    !Array.isArray(archMap) ||
    !archMap.every((a) => isJsonObject(a) && typeof a.architecture === 'string')
  ) {
    return fail('archMap is not a list of architectures');
  }
  return json as unknown as SeccompProfile;
}

function isRule(rule: unknown): boolean {
  if (!isJsonObject(rule) || typeof rule.action !== 'string') return false;
  const names = rule.names ?? [];
  if (!Array.isArray(names) || !names.every((name) => typeof name === 'string')) return false;
  return [rule.includes, rule.excludes].every((filter) => {
    if (filter === undefined || filter === null) return true;
    if (!isJsonObject(filter)) return false;
    return [filter.caps, filter.arches].every(
      (list) => list === undefined || list === null || Array.isArray(list),
    );
  });
}

function resolveProfile(profile: SeccompProfile, input: SeccompInput): SpecSeccomp {
  if (profile.architectures?.length && profile.archMap?.length) {
    throw new EngineError(
      'invalidArgument',
      "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or 'archMap'",
    );
  }
  const arch = ARCHES[input.host.arch];
  const mapped = profile.archMap?.find((entry) => entry.architecture === arch?.scmp);
  const architectures =
    mapped === undefined
      ? [...(profile.architectures ?? [])]
      : [mapped.architecture, ...(mapped.subArchitectures ?? [])];
  const applies = (rule: SeccompRule): boolean => ruleApplies(rule, input, arch?.go ?? input.host.arch);
  return {
    defaultAction: profile.defaultAction,
    ...(profile.defaultErrnoRet === undefined ? {} : { defaultErrnoRet: profile.defaultErrnoRet }),
    ...(architectures.length > 0 ? { architectures } : {}),
    ...(profile.flags?.length ? { flags: [...profile.flags] } : {}),
    ...(profile.listenerPath ? { listenerPath: profile.listenerPath } : {}),
    ...(profile.listenerMetadata ? { listenerMetadata: profile.listenerMetadata } : {}),
    syscalls: (profile.syscalls ?? []).filter(applies).map(specRule),
  };
}

function ruleApplies(rule: SeccompRule, input: SeccompInput, goArch: string): boolean {
  const { includes, excludes } = rule;
  const has = (cap: string): boolean => input.capabilities.includes(cap);
  if (excludes?.arches?.includes(goArch) || excludes?.caps?.some(has)) return false;
  if (excludes?.minKernel && kernelAtLeast(input.host.kernelVersion, excludes.minKernel)) return false;
  if (includes?.arches?.length && !includes.arches.includes(goArch)) return false;
  if (includes?.caps?.length && !includes.caps.every(has)) return false;
  return !includes?.minKernel || kernelAtLeast(input.host.kernelVersion, includes.minKernel);
}

/** `6.1.0-13-amd64` against `4.8`: major and minor numbers decide. */
export function kernelAtLeast(version: string, minimum: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  const [wantedMajor = 0, wantedMinor = 0] = minimum.split('.').map((part) => Number.parseInt(part, 10));
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

function specRule(rule: SeccompRule): SpecSyscall {
  if (rule.name && rule.names?.length) {
    throw new EngineError(
      'invalidArgument',
      "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'",
    );
  }
  return {
    names: rule.name ? [rule.name] : [...(rule.names ?? [])],
    action: rule.action,
    ...(rule.errnoRet === undefined || rule.errnoRet === null ? {} : { errnoRet: rule.errnoRet }),
    ...(rule.args?.length ? { args: rule.args.map((arg) => ({ ...arg })) } : {}),
  };
}
