import { EngineError } from '#base/errors.ts';

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

const ARCHITECTURES: ReadonlyMap<string, readonly [string, string?]> = new Map([
  ['i386', ['386']],
  ['x86_64', ['amd64']],
  ['x86-64', ['amd64']],
  ['aarch64', ['arm64']],
  ['armhf', ['arm', 'v7']],
  ['armel', ['arm', 'v6']],
] as const);
const KNOWN_ARCHITECTURE =
  /^(386|amd64|arm|arm64|loong64|mips|mips64|mips64le|mipsle|ppc64|ppc64le|riscv64|s390x|wasm)$/;
const KNOWN_OS = new RegExp(
  '^(?:aix|android|darwin|dragonfly|freebsd|hurd|illumos|ios|js|linux|' +
    'nacl|netbsd|openbsd|plan9|solaris|windows|zos)$',
);
const SPECIFIER = /^[A-Za-z0-9_.-]+$/;

function normalizeArchitecture(architecture: string, variant: string | undefined): Omit<Platform, 'os'> {
  const lower = architecture.toLowerCase();
  const known = ARCHITECTURES.get(lower);
  let arch = known?.[0] ?? lower;
  let part = variant?.toLowerCase() || known?.[1];
  if (arch === 'arm64' && (part === '8' || part === 'v8')) part = undefined;
  if (arch === 'amd64' && part === 'v1') part = undefined;
  if (arch === 'arm') part = part === undefined ? 'v7' : part.replace(/^(?=\d)/, 'v');
  if (arch === '') arch = hostArchitecture();
  return part === undefined ? { architecture: arch } : { architecture: arch, variant: part };
}

/** What the running machine is called in image platforms. */
export function hostArchitecture(): string {
  return process.arch === 'x64' ? 'amd64' : process.arch;
}

export function hostPlatform(): Platform {
  return { os: 'linux', architecture: hostArchitecture() };
}

/**
 * `os[/architecture[/variant]]`, or an architecture alone. Errors: `invalidArgument` with the reference's
 * text.
 */
export function parsePlatform(specifier: string): Platform {
  const parts = specifier.split('/');
  const bad = (why: string): EngineError =>
    new EngineError('invalidArgument', `"${specifier}": ${why}: invalid argument`);
  if (parts.length > 3) throw bad('cannot parse platform specifier');
  for (const part of parts) {
    if (!SPECIFIER.test(part)) {
      throw new EngineError(
        'invalidArgument',
        `"${part}" is an invalid component of "${specifier}": platform specifier component must match "^[A-Za-z0-9_.-]+$": invalid argument`,
      );
    }
  }
  const [first = '', second, third] = parts;
  if (second !== undefined) return { os: first.toLowerCase(), ...normalizeArchitecture(second, third) };
  if (KNOWN_OS.test(first.toLowerCase()))
    return { os: first.toLowerCase(), architecture: hostArchitecture() };
  const only = normalizeArchitecture(first, undefined);
  if (!KNOWN_ARCHITECTURE.test(only.architecture)) throw bad('unknown operating system or architecture');
  return { os: 'linux', ...only };
}

export function formatPlatform(platform: Platform): string {
  const base = `${platform.os}/${platform.architecture}`;
  return platform.variant === undefined || platform.variant === '' ? base : `${base}/${platform.variant}`;
}

export function normalizePlatform(platform: Platform): Platform {
  return { os: platform.os.toLowerCase(), ...normalizeArchitecture(platform.architecture, platform.variant) };
}

/**
 * Whether something built for `offered` satisfies a request for `wanted`; a missing variant in the request
 * accepts any.
 */
export function platformMatches(wanted: Platform, offered: Platform): boolean {
  const a = normalizePlatform(wanted);
  const b = normalizePlatform(offered);
  if (a.os !== b.os || a.architecture !== b.architecture) return false;
  return wanted.variant === undefined || wanted.variant === '' || a.variant === b.variant;
}

/** Whether a machine runs what was built for `offered`: its own architecture, not beyond its variant. */
export function platformRuns(host: Platform, offered: Platform): boolean {
  const has = normalizePlatform(host);
  const needs = normalizePlatform(offered);
  if (has.os !== needs.os) return false;
  if (has.architecture === 'arm64' && needs.architecture === 'arm') return true;
  if (has.architecture !== needs.architecture) return false;
  return needs.variant === undefined || needs.variant === '' || needs.variant <= (has.variant ?? 'v1');
}
