import * as messages from '#api/messages.ts';
import type { HostConfig } from '../record.ts';
import { invalid, type Fields } from './fields.ts';

const CAPABILITIES: ReadonlySet<string> = new Set(
  (
    'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE ' +
    'NET_BIND_SERVICE NET_BROADCAST ' +
    'NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT ' +
    'SYS_ADMIN SYS_BOOT SYS_NICE ' +
    'SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE ' +
    'MAC_ADMIN SYSLOG WAKE_ALARM ' +
    'BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'
  ).split(' '),
);

function checkCapabilities(list: readonly string[] | null, field: 'CapAdd' | 'CapDrop'): void {
  for (const name of list ?? []) {
    const plain = name.toUpperCase().replace(/^CAP_/, '');
    if (plain !== 'ALL' && !CAPABILITIES.has(plain))
      throw invalid(messages.unknownCapability(field, `CAP_${plain}`));
  }
}

/** What `--security-opt` decides, read from the record whenever a runtime spec is built. */
export interface SecurityOptions {
  readonly noNewPrivileges: boolean;
  /** `default`, `unconfined`, or the JSON text of a profile. */
  readonly seccomp: string;
  readonly apparmor: string | null;
}

/** Errors: `invalidArgument` with the reference's texts. */
export function parseSecurityOptions(
  options: readonly string[] | null,
  noNewPrivilegesByDefault = false,
): SecurityOptions {
  let noNewPrivileges = noNewPrivilegesByDefault;
  let seccomp = 'default';
  let apparmor: string | null = null;
  for (const option of options ?? []) {
    if (option === 'no-new-privileges') {
      noNewPrivileges = true;
      continue;
    }
    // Old clients write a colon.
    const at = option.includes('=') ? option.indexOf('=') : option.indexOf(':');
    if (at < 0) throw invalid(`invalid --security-opt 1: "${option}"`);
    const value = option.slice(at + 1);
    switch (option.slice(0, at)) {
      case 'no-new-privileges':
        if (!/^(?:1|0|t|f|true|false)$/i.test(value)) throw invalid(messages.invalidSecurityOption(option));
        noNewPrivileges = /^(?:1|t|true)$/i.test(value);
        break;
      case 'seccomp':
        seccomp = value === 'builtin' ? 'default' : value;
        break;
      case 'apparmor':
        apparmor = value;
        break;
      case 'label':
        break;
      default:
        throw invalid(messages.invalidSecurityOption(option));
    }
  }
  return { noNewPrivileges, seccomp, apparmor };
}

/** The profile that a container gets, as inspect shows it: '' where the host has no AppArmor. */
export function apparmorProfile(
  host: Pick<HostConfig, 'Privileged' | 'SecurityOpt'>,
  hostDefault: string | undefined,
): string {
  if (hostDefault === undefined) return '';
  if (host.Privileged) return 'unconfined';
  return parseSecurityOptions(host.SecurityOpt).apparmor ?? hostDefault;
}

export type Security = Pick<
  HostConfig,
  | 'CapAdd'
  | 'CapDrop'
  | 'Privileged'
  | 'SecurityOpt'
  | 'ReadonlyRootfs'
  | 'GroupAdd'
  | 'MaskedPaths'
  | 'ReadonlyPaths'
>;

export const DEFAULT_MASKED_PATHS: readonly string[] = (
  '/proc/asound /proc/acpi /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats ' +
  '/proc/timer_list /proc/timer_stats ' +
  '/proc/sched_debug /proc/scsi /sys/firmware /sys/devices/virtual/powercap'
).split(' ');
export const DEFAULT_READONLY_PATHS: readonly string[] =
  '/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger'.split(' ');

/** Errors: `invalidArgument`. */
export function parseSecurity(fields: Fields): Security {
  const CapAdd = fields.texts('CapAdd');
  const CapDrop = fields.texts('CapDrop');
  checkCapabilities(CapAdd, 'CapAdd');
  checkCapabilities(CapDrop, 'CapDrop');
  const SecurityOpt = fields.texts('SecurityOpt');
  parseSecurityOptions(SecurityOpt);
  const Privileged = fields.flag('Privileged');
  return {
    CapAdd,
    CapDrop,
    Privileged,
    SecurityOpt,
    ReadonlyRootfs: fields.flag('ReadonlyRootfs'),
    GroupAdd: fields.texts('GroupAdd'),
    MaskedPaths: Privileged ? null : (fields.texts('MaskedPaths') ?? DEFAULT_MASKED_PATHS),
    ReadonlyPaths: Privileged ? null : (fields.texts('ReadonlyPaths') ?? DEFAULT_READONLY_PATHS),
  };
}
