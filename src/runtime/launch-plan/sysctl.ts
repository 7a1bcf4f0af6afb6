import type { RuntimeSpec } from '#oci/runtime-spec.ts';
import { invalid } from './builder.ts';
import type { Namespaces } from './namespaces.ts';

const IPC_SYSCTLS = new Set([
  'kernel.msgmax',
  'kernel.msgmnb',
  'kernel.msgmni',
  'kernel.sem',
  'kernel.shmall',
  'kernel.shmmax',
  'kernel.shmmni',
  'kernel.shm_rmid_forced',
]);

export interface PlannedSysctl {
  /** Below a procfs: `sys/net/ipv4/…`. */
  readonly path: string;
  readonly value: string;
  readonly from: string;
}

const swap = (name: string): string => name.replace(/[./]/g, (mark) => (mark === '.' ? '/' : '.'));

/** `net/ipv4/conf/eno2.100/rp_filter` and `net.ipv4.conf.eno2/100.rp_filter` are the same. */
function dotted(name: string): string {
  const first = /[./]/.exec(name)?.[0];
  return first === '/' ? swap(name) : name;
}

/** Only what belongs to a namespace of the container can be set; the rest is everybody's. */
function check(name: string, namespaces: Namespaces, from: string): void {
  const quoted = JSON.stringify(name);
  if (IPC_SYSCTLS.has(name) || name.startsWith('fs.mqueue.')) {
    if (namespaces.has('ipc')) return;
    throw invalid(from, `sysctl ${quoted} is not allowed in the hosts ipc namespace`);
  }
  if (name.startsWith('net.')) {
    if (namespaces.has('network')) return;
    throw invalid(from, `sysctl ${quoted} not allowed in host network namespace`);
  }
  if (namespaces.has('uts')) {
    if (name === 'kernel.domainname') return;
    if (name === 'kernel.hostname') {
      throw invalid(from, `sysctl ${quoted} is not allowed as it conflicts with the OCI "hostname" field`);
    }
  }
  throw invalid(from, `sysctl ${quoted} is not in a separate kernel namespace`);
}

export function planSysctls(spec: RuntimeSpec, namespaces: Namespaces): PlannedSysctl[] {
  return Object.entries(spec.linux?.sysctl ?? {}).map(([given, value]) => {
    const from = `linux.sysctl[${JSON.stringify(given)}]`;
    const name = dotted(given);
    check(name, namespaces, from);
    const path = swap(name);
    if (path.split('/').some((part) => part === '' || part === '.' || part === '..')) {
      throw invalid(from, 'no name of a sysctl');
    }
    return { path: `sys/${path}`, value, from };
  });
}
