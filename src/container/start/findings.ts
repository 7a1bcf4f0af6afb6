import { LIMITS } from '#base/limits.ts';
import type { SpecInput } from '#runtime/spec.ts';
import type { ExpectedStart } from '#runtime/task.ts';
import { type ResolvedUser, resolveUser } from '#runtime/user.ts';
import type { RootFd, RootTreePort } from '../ports.ts';
import type { ContainerRecord, HostConfig } from '../record.ts';
import type { Room } from '../room.ts';
import { readDevices } from './devices.ts';
import type { Joined } from './joined.ts';
import { networkFileMounts } from './network-files.ts';
import { readResources } from './resources.ts';
import { cgroupPathOf, specInput, type SpecFindings } from './spec-input.ts';
import { usernsMode } from './user-namespace.ts';

/*
 * What a start has to find out before a spec can be built: of the container's tree, of the machine, of other
 * containers.
 */

export const ACCOUNT_FILES = ['/etc/passwd', '/etc/group'] as const;

type UserWish = Pick<Parameters<typeof resolveUser>[0], 'user' | 'groupAdd'>;

export function userWish({ config, hostConfig }: ContainerRecord): UserWish {
  return { user: config.User, groupAdd: hostConfig.GroupAdd ?? [] };
}

/** Of the contents of `ACCOUNT_FILES`; null: there is none. Errors: the reference's texts. */
export function userOf(files: readonly (Uint8Array | null)[], wish: UserWish): ResolvedUser {
  const [passwd = null, group = null] = files.map((bytes) =>
    bytes === null ? null : Buffer.from(bytes).toString('utf8'),
  );
  return resolveUser({ ...wish, passwd, group });
}

/** A damaged or hostile passwd is the same as none: names in it cannot be found then. */
export async function lookUpUser(tree: RootTreePort, rootFd: RootFd, wish: UserWish): Promise<ResolvedUser> {
  const read = (path: string): Promise<Uint8Array | null> =>
    tree.readFile(rootFd, path, LIMITS.passwdBytes).catch(() => null);
  return userOf(await Promise.all(ACCOUNT_FILES.map(read)), wish);
}

export type MachineFindings = Pick<SpecFindings, 'devices' | 'resources'>;

/** Errors: of devices that are not there, with the reference's texts. */
export async function findMachine(hostConfig: HostConfig): Promise<MachineFindings> {
  const [devices, resources] = await Promise.all([readDevices(hostConfig), readResources(hostConfig)]);
  return { devices, resources };
}

export function findInput(
  { deps, ledger }: Pick<Room, 'deps' | 'ledger'>,
  record: ContainerRecord,
  found: MachineFindings & Pick<SpecFindings, 'user'> & { readonly joinedIds: Joined },
): SpecInput {
  const { joinedIds } = found;
  const directory = ledger.store.directoryOf(joinedIds.network ?? record.id);
  return specInput(
    record,
    {
      ...found,
      networkFiles: networkFileMounts(directory),
      userns: usernsMode(deps, record, joinedIds),
    },
    { facts: deps.facts, settings: deps.settings },
  );
}

/** What the task's start says of a container besides its spec. */
export function taskOf(
  { deps }: Pick<Room, 'deps'>,
  record: ContainerRecord,
  input: SpecInput,
): Omit<ExpectedStart, 'spec' | 'ownNetwork'> {
  return {
    id: record.id,
    terminal: record.config.Tty,
    home: input.user.home,
    ...(input.consoleSize !== undefined && { consoleSize: input.consoleSize }),
    cgroupPath: cgroupPathOf(record, deps.settings),
    runtime: record.hostConfig.Runtime,
  };
}
