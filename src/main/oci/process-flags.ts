import type { SpecCapabilities, SpecProcess, SpecUser } from '#oci/runtime-spec.ts';
import type { FlagValues } from './flags.ts';
import { Failure } from './messages.ts';

const MAX_ID = 2 ** 32 - 2;

function id(text: string, what: string): number {
  if (!/^\d{1,10}$/.test(text) || Number(text) > MAX_ID)
    throw new Failure(`parsing ${text} as int for ${what} failed`);
  return Number(text);
}

function userOf(flags: FlagValues, before: SpecUser): SpecUser {
  const given = flags.text('user') ?? '';
  const gids = flags.list('additional-gids').map((text) => id(text, 'gid'));
  const [uid, gid] = given.split(':');
  return {
    ...before,
    ...(given !== '' && { uid: id(uid ?? '', 'uid') }),
    ...(gid !== undefined && { gid: id(gid, 'gid') }),
    additionalGids: [...(before.additionalGids ?? []), ...gids],
  };
}

/** A capability by flag goes into every set. */
function capabilitiesOf(
  flags: FlagValues,
  before: SpecCapabilities | undefined,
): SpecCapabilities | undefined {
  const more = flags.list('cap').map((name) => {
    const upper = name.toUpperCase();
    return upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
  });
  if (more.length === 0) return before;
  const withMore = (set: readonly string[] | undefined): string[] => [...new Set([...(set ?? []), ...more])];
  return {
    ...before,
    bounding: withMore(before?.bounding),
    effective: withMore(before?.effective),
    permitted: withMore(before?.permitted),
    ambient: withMore(before?.ambient),
  };
}

/** What `exec` runs: the container's own process with another command, and what the flags change. */
export function processOfFlags(flags: FlagValues, before: SpecProcess, args: readonly string[]): SpecProcess {
  const capabilities = capabilitiesOf(flags, before.capabilities);
  const cwd = flags.text('cwd') ?? '';
  const [apparmor, label] = [flags.text('apparmor') ?? '', flags.text('process-label') ?? ''];
  const { consoleSize: _size, ...rest } = before;
  return {
    ...rest,
    args: [...args],
    terminal: flags.on('tty'),
    user: userOf(flags, before.user),
    env: [...(before.env ?? []), ...flags.list('env')],
    cwd: cwd === '' ? before.cwd : cwd,
    ...(capabilities !== undefined && { capabilities }),
    ...(flags.has('no-new-privs') && { noNewPrivileges: flags.on('no-new-privs') }),
    ...(apparmor !== '' && { apparmorProfile: apparmor }),
    ...(label !== '' && { selinuxLabel: label }),
  };
}
