import * as messages from '#api/messages.ts';
import type { HostConfig } from '../record.ts';
import type { ContainerSettings, MachineFacts } from '../ports.ts';
import { invalid, type Fields } from './fields.ts';

export type Modes = Pick<
  HostConfig,
  'NetworkMode' | 'IpcMode' | 'PidMode' | 'UTSMode' | 'UsernsMode' | 'CgroupnsMode' | 'Cgroup' | 'Isolation'
>;

/** The container that a mode joins, as the client named it; null when it joins none. */
export function joined(mode: string): string | null {
  return mode.startsWith('container:') ? mode.slice('container:'.length) : null;
}

function check(valid: boolean, text: string): void {
  if (!valid) throw invalid(text);
}

/** `apiVersion` as a number that compares: 1.44 is 44. */
export function minorVersion(apiVersion: string): number {
  return Number(apiVersion.split('.')[1] ?? 0);
}

export interface ModeSources {
  readonly facts: MachineFacts;
  readonly settings: Pick<ContainerSettings, 'defaults'>;
  readonly apiVersion: string;
}

/** Errors: `invalidArgument` with the reference's texts. */
export function parseModes(fields: Fields, { facts, settings, apiVersion }: ModeSources): Modes {
  const { defaults } = settings;
  const network = fields.text('NetworkMode');
  const ipc = fields.text('IpcMode');
  const pid = fields.text('PidMode');
  const uts = fields.text('UTSMode');
  const userns = fields.text('UsernsMode');
  const cgroupns = minorVersion(apiVersion) < 41 ? '' : fields.text('CgroupnsMode');
  const isolation = fields.text('Isolation');
  const named = (mode: string): boolean => (joined(mode) ?? '') !== '';
  check(
    ['', 'none', 'private', 'host', 'shareable'].includes(ipc) || named(ipc),
    messages.invalidIpcMode(ipc),
  );
  check(['', 'host', 'private'].includes(pid) || named(pid), `invalid PID mode: ${pid}`);
  check(['', 'host'].includes(uts), `invalid UTS mode: ${uts}`);
  check(['', 'host'].includes(userns), `invalid userns mode: ${userns}`);
  check(['', 'host', 'private'].includes(cgroupns), `invalid cgroup namespace mode: ${cgroupns}`);
  check(
    ['', 'default'].includes(isolation),
    `invalid isolation (${isolation}): linux only supports 'default'`,
  );
  check(
    !network.startsWith('container:') || named(network),
    `invalid network mode: invalid container format container:<name|id>`,
  );
  const oldDefaultIpc = minorVersion(apiVersion) < 40 ? 'shareable' : (defaults?.ipcMode ?? 'private');
  const ownCgroupns = facts.cgroupVersion === 2 ? 'private' : 'host';
  return {
    NetworkMode: network === '' || network === 'default' ? 'bridge' : network,
    IpcMode: ipc === '' ? oldDefaultIpc : ipc,
    PidMode: pid,
    UTSMode: uts,
    UsernsMode: userns,
    CgroupnsMode: cgroupns === '' ? (defaults?.cgroupnsMode ?? ownCgroupns) : cgroupns,
    Cgroup: fields.text('Cgroup'),
    Isolation: isolation,
  };
}

/** Wishes of the config that a mode rules out. */
export function checkConflicts(
  modes: Modes,
  wish: { hostname: string; hasPorts: boolean; hasLinks: boolean; hasDns: boolean; hasHosts: boolean },
): void {
  const joins = joined(modes.NetworkMode) !== null;
  if (joins && wish.hostname !== '') throw invalid(messages.hostnameWithNetworkMode());
  if (modes.UTSMode === 'host' && wish.hostname !== '') throw invalid(messages.hostnameWithUtsMode());
  if (joins && wish.hasLinks)
    throw invalid(
      "conflicting options: container type network can't be used with links. This would result in undefined behavior",
    );
  if (joins && wish.hasDns) throw invalid('conflicting options: dns and the network mode');
  if (joins && wish.hasHosts)
    throw invalid('conflicting options: custom host-to-IP mapping and the network mode');
  if (joins && wish.hasPorts)
    throw invalid('conflicting options: port publishing and the container type network mode');
}
