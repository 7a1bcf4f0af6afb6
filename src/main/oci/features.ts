import { OCI_RUNTIME_VERSION } from '#oci/runtime-spec.ts';
import { CAPABILITIES, knownMountOptions } from '#runtime/launch-plan.ts';
import type { Context } from './context.ts';
import { print } from './messages.ts';
import { VERSION } from './version.ts';

const words = (prefix: string, text: string): string[] => text.split(' ').map((name) => `${prefix}${name}`);

const SECCOMP = {
  enabled: true,
  actions: words('SCMP_ACT_', 'ALLOW ERRNO KILL KILL_PROCESS KILL_THREAD LOG TRACE TRAP'),
  operators: words('SCMP_CMP_', 'EQ GE GT LE LT MASKED_EQ NE'),
  archs: words('SCMP_ARCH_', 'AARCH64 ARM X32 X86 X86_64'),
  knownFlags: words('SECCOMP_FILTER_FLAG_', 'LOG SPEC_ALLOW TSYNC WAIT_KILLABLE_RECV'),
  supportedFlags: words('SECCOMP_FILTER_FLAG_', 'LOG SPEC_ALLOW TSYNC'),
};

/** The document of the specification's features.md. */
export function featuresDocument(): Record<string, unknown> {
  return {
    ociVersionMin: '1.0.0',
    ociVersionMax: OCI_RUNTIME_VERSION,
    hooks: ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'],
    mountOptions: knownMountOptions(),
    linux: {
      namespaces: ['cgroup', 'ipc', 'mount', 'network', 'pid', 'time', 'user', 'uts'],
      capabilities: CAPABILITIES,
      cgroup: { v1: true, v2: true, systemd: false, systemdUser: false, rdma: false },
      seccomp: SECCOMP,
      apparmor: { enabled: true },
      selinux: { enabled: true },
      intelRdt: { enabled: false },
      mountExtensions: { idmap: { enabled: true } },
    },
    annotations: { 'gantry.oci.version': VERSION, 'gantry.oci.checkpoint.enabled': 'false' },
  };
}

export function features(_context: Context): Promise<void> {
  return print(`${JSON.stringify(featuresDocument(), null, 4)}\n`);
}
