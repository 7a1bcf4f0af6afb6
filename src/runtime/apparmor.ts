import { closeSync, existsSync, mkdirSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { EngineError } from '#base/errors.ts';
import { randomId } from '#base/ids.ts';
import type { Kernel } from '#host/kernel.ts';

/** The name that clients and other engines know; a profile of that name which is already loaded is used. */
const PROFILE = 'docker-default';
const PARSERS = ['/usr/sbin/apparmor_parser', '/sbin/apparmor_parser'];
const MAX_MESSAGE_BYTES = 4096;

/**
 * All that is not said is allowed: file permissions, capabilities and seccomp stay in charge of it. Denied
 * are mounts, the kernel's control files in /proc and /sys, and signals and ptrace that leave the profile. It
 * includes nothing, so that it does not depend on the abstractions of a distribution.
 */
const POLICY = `profile ${PROFILE} flags=(attach_disconnected,mediate_deleted) {
  network,
  capability,
  file,
  umount,
  unix,
  dbus,
  signal (receive) peer=unconfined,
  signal (receive) peer=runc,
  signal (receive) peer=crun,
  signal (send, receive) peer=${PROFILE},
  ptrace (trace, read, tracedby, readby) peer=${PROFILE},

  deny mount,
  deny /proc/* w,
  deny /proc/{[^1-9],[^1-9][^0-9],[^1-9s][^0-9y][^0-9s],[^1-9][^0-9][^0-9][^0-9/]*}/** w,
  deny /proc/sys/[^k]** w,
  deny /proc/sys/kernel/{?,??,[^s][^h][^m]**} w,
  deny /proc/sysrq-trigger rwklx,
  deny /proc/kcore rwklx,
  deny /sys/[^f]*/** wklx,
  deny /sys/f[^s]*/** wklx,
  deny /sys/fs/[^c]*/** wklx,
  deny /sys/fs/c[^g]*/** wklx,
  deny /sys/fs/cg[^r]*/** wklx,
  deny /sys/firmware/** rwklx,
  deny /sys/devices/virtual/powercap/** rwklx,
  deny /sys/kernel/security/** rwklx,
}
`;

/** An unlinked file: what a program reads or writes without a pipe that somebody has to serve. */
function scratchFile(folder: string): number {
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  const path = join(folder, `apparmor-${randomId().slice(0, 12)}`);
  const fd = openSync(path, 'wx+', 0o600);
  unlinkSync(path);
  return fd;
}

async function load(kernel: Pick<Kernel, 'processes'>, parser: string, folder: string): Promise<void> {
  const [policy, message] = [scratchFile(folder), scratchFile(folder)];
  try {
    writeSync(policy, POLICY);
    // The program reads from the beginning, through an open file of its own.
    const input = openSync(`/proc/self/fd/${policy}`, 'r');
    const spawned = await kernel.processes
      .spawn({
        path: parser,
        argv: ['apparmor_parser', '--replace', '--skip-cache'],
        env: {},
        fds: new Map([
          [0, input],
          [1, message],
          [2, message],
        ]),
      })
      .finally(() => closeSync(input));
    const status = await spawned.exited;
    if ('exitCode' in status && status.exitCode === 0) return;
    const text = Buffer.alloc(MAX_MESSAGE_BYTES);
    const why = text.toString('utf8', 0, readSync(message, text, 0, text.length, 0)).trim();
    throw new EngineError('unavailable', `apparmor_parser refused the profile ${PROFILE}: ${why}`);
  } finally {
    closeSync(policy);
    closeSync(message);
  }
}

/**
 * The AppArmor profile of containers that ask for none, loaded if it is not; `null` where the host has no
 * AppArmor. Errors: `unavailable` when it cannot be loaded.
 */
export async function defaultApparmorProfile(
  kernel: Pick<Kernel, 'system' | 'processes'>,
  execRoot: string,
  parsers: readonly string[] = PARSERS,
): Promise<string | null> {
  if (!kernel.system.facts().apparmor) return null;
  if (kernel.system.hasApparmorProfile(PROFILE)) return PROFILE;
  const parser = parsers.find((path) => existsSync(path));
  if (parser === undefined)
    throw new EngineError(
      'unavailable',
      `AppArmor is on, and without apparmor_parser ${PROFILE} cannot be loaded`,
      {
        hint: 'Install the package apparmor and restart gantryd: until then containers run without a profile.',
      },
    );
  await load(kernel, parser, execRoot);
  return PROFILE;
}
