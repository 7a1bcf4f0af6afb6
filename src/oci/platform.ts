import { EngineError } from '#base/errors.ts';

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  /** It decides about nothing on Linux. */
  readonly osVersion?: string;
  /** What a machine must have beyond its processor: an image that names some runs nowhere else. */
  readonly osFeatures?: readonly string[];
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
const OS_SPECIFIER = /^([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.%-]*)((?:\+[A-Za-z0-9_.%-]+)*)\))?$/;

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

/** `linux`, `linux(1)`, `linux(1+feature+feature)`. */
function parseSystem(part: string, specifier: string): Omit<Platform, 'architecture' | 'variant'> {
  const found = OS_SPECIFIER.exec(part);
  if (found === null) {
    const pattern = JSON.stringify(OS_SPECIFIER.source);
    throw new EngineError(
      'invalidArgument',
      `${JSON.stringify(part)} is an invalid OS component of ${JSON.stringify(specifier)}: ` +
        `OSAndVersion specifier component must match ${pattern}: invalid argument`,
    );
  }
  const [, os = '', osVersion = '', features = ''] = found;
  return {
    os: os.toLowerCase(),
    ...(osVersion !== '' && { osVersion }),
    ...(features !== '' && { osFeatures: features.slice(1).split('+') }),
  };
}

/** Variants that go without saying are left out, unless somebody has said them. */
function parseArchitecture(text: string, variant: string | undefined): Omit<Platform, 'os'> {
  const parsed = normalizeArchitecture(text, variant);
  const { architecture } = parsed;
  if (variant === undefined)
    return architecture === 'arm' && parsed.variant === 'v7' ? { architecture } : parsed;
  return architecture === 'arm64' && parsed.variant === undefined ? { architecture, variant: 'v8' } : parsed;
}

/**
 * `os[/architecture[/variant]]`, or an architecture alone. Errors: `invalidArgument` with the reference's
 * text.
 */
export function parsePlatform(specifier: string): Platform {
  const parts = specifier.split('/');
  const bad = (why: string): EngineError =>
    new EngineError('invalidArgument', `"${specifier}": ${why}: invalid argument`);
  const [first = '', second, third] = parts;
  const system = parseSystem(first, specifier);
  for (const part of parts.slice(1)) {
    if (!SPECIFIER.test(part)) {
      throw new EngineError(
        'invalidArgument',
        `"${part}" is an invalid component of "${specifier}": platform specifier component must match "^[A-Za-z0-9_.-]+$": invalid argument`,
      );
    }
  }
  if (parts.length > 3) throw bad('cannot parse platform specifier');
  if (second !== undefined) return { ...system, ...parseArchitecture(second, third) };
  if (KNOWN_OS.test(system.os)) return { ...system, architecture: hostArchitecture() };
  const only = parseArchitecture(first, undefined);
  if (!KNOWN_ARCHITECTURE.test(only.architecture)) throw bad('unknown operating system or architecture');
  return { os: 'linux', ...only };
}

/** `linux/arm/v6`, `linux(1+feature)/amd64`; `unknown` without a system. */
export function formatPlatform(platform: Platform): string {
  const { os, architecture, variant = '', osVersion = '', osFeatures = [] } = platform;
  if (os === '') return 'unknown';
  const options = [osVersion, ...osFeatures.toSorted()].join('+');
  const system = options === '' ? os : `${os}(${options})`;
  return [system, architecture, variant].filter((part) => part !== '').join('/');
}

/** What an image is for, as its config has it. */
export function configPlatform(
  config: Required<Pick<Platform, 'os' | 'architecture' | 'variant'>>,
): Platform {
  const { os, architecture, variant } = config;
  return { os, architecture, ...(variant !== '' && { variant }) };
}

export function normalizePlatform(platform: Platform): Platform {
  const { os, architecture, variant } = platform;
  return { os: os.toLowerCase() || 'linux', ...normalizeArchitecture(architecture, variant) };
}

/** `v3` and everything below it: v3, v2, v1. */
function downFrom(highest: number, lowest: number): string[] {
  const count = Math.max(0, highest - lowest + 1);
  return Array.from({ length: count }, (_, i) => `v${highest - i}`);
}

/** What an ARM processor of 64 bits runs in its own mode, best first: `v9.1` has all of `v8.6`. */
function arm64Variants(variant: string): string[] {
  const [, major = '8', minor = '0'] = /^v(\d+)(?:\.(\d))?$/.exec(variant) ?? [];
  const below = (version: number, from: number): string[] =>
    Array.from({ length: from }, (_, i) => (i === from - 1 ? `v${version}` : `v${version}.${from - 1 - i}`));
  if (major === '8') return below(8, Number(minor));
  return major === '9' ? [...below(9, Number(minor)), ...below(8, Number(minor) + 6)] : [];
}

/** Architectures and variants that a machine runs, its own first. */
function runnableKinds({ architecture, variant = '' }: Platform): readonly Omit<Platform, 'os'>[] {
  const own = { architecture, variant };
  const level = Number(/^v(\d{1,2})$/.exec(variant)?.[1] ?? 0);
  const kinds = (variants: readonly string[]): Omit<Platform, 'os'>[] =>
    variants.map((each) => ({ architecture, variant: each }));
  if (architecture === 'amd64') return [own, ...kinds(downFrom(level - 1, 1)), { architecture: '386' }];
  if (architecture === 'arm') return [own, ...kinds(downFrom(level - 1, 5))];
  if (architecture !== 'arm64') return [own];
  const arm = { os: '', architecture: 'arm', variant: /^v[89]\.|^$/.test(variant) ? 'v8' : variant };
  return [own, ...kinds(arm64Variants(variant)), ...runnableKinds(arm)];
}

/**
 * How well a machine runs what was built for `offered`: 0 is its own kind, more is worse, null is not at all.
 */
export function platformRank(host: Platform, offered: Platform): number | null {
  const has = normalizePlatform(host);
  const needs = normalizePlatform(offered);
  const features = host.osFeatures ?? [];
  if (offered.architecture === '' || has.os !== needs.os) return null;
  if (!(offered.osFeatures ?? []).every((feature) => features.includes(feature))) return null;
  const rank = runnableKinds(has).findIndex((kind) => {
    const { architecture, variant } = normalizePlatform({ os: '', ...kind });
    return architecture === needs.architecture && variant === needs.variant;
  });
  return rank < 0 ? null : rank;
}

/** Whether `offered` is of that very kind, and not just something that runs there. */
export function isPlatform(wanted: Platform, offered: Platform): boolean {
  return platformRank(wanted, offered) === 0;
}

/** Whether a machine runs it; images do not always say their variant. */
export function platformRuns(host: Platform, offered: Platform): boolean {
  if (platformRank(host, offered) !== null) return true;
  if (offered.architecture === '' || (offered.variant ?? '') !== '') return false;
  const [has, needs] = [normalizePlatform(host), normalizePlatform(offered)];
  return has.os === needs.os && has.architecture === needs.architecture;
}
