import * as messages from '#api/messages.ts';
import { EngineError, errorMessage } from '#base/errors.ts';
import { newContainerId, randomId, shortId, type ContainerId } from '#base/ids.ts';
import { ZERO_TIME } from '#base/clock.ts';
import { Rollback } from '#base/rollback.ts';
import { formatPlatform, parsePlatform, platformRuns, type Platform } from '#oci/platform.ts';
import type { Image } from '#image/image-service.ts';
import type { MountPoint } from '#volume/model.ts';
import type { CreateReply, CreateRequest } from './container-service.ts';
import { checkBody, normalizeContainer, type NormalizedContainer } from './normalize.ts';
import { invalid } from './normalize/fields.ts';
import type { ContainerRecord, RunState } from './record.ts';
import { generateName } from './record/generated-name.ts';
import { checkName } from './record/names.ts';
import { now, tell, type Room } from './room.ts';
import { draftStart } from './start/draft.ts';
import { withJoinedIds } from './start/joined.ts';
import { checkRemapped } from './start/user-namespace.ts';

export const NEVER_RAN: RunState = {
  status: 'created',
  pid: 0,
  exitCode: 0,
  oomKilled: false,
  error: '',
  startedAt: ZERO_TIME,
  finishedAt: ZERO_TIME,
};

/**
 * Of kind `invalidArgument`: the docker CLI would take a `notFound` of create for a missing image and pull
 * it.
 */
function namedContainer(room: Pick<Room, 'ledger'>, reference: string): ContainerRecord {
  try {
    return room.ledger.find(reference).record;
  } catch (error) {
    throw invalid(errorMessage(error));
  }
}

/** Mounts of the containers that `--volumes-from` names. Errors: `invalidArgument`. */
function inheritedMounts(
  room: Pick<Room, 'ledger'>,
  references: readonly string[] | null,
): readonly MountPoint[] {
  return (references ?? []).flatMap((reference) => {
    const at = reference.indexOf(':');
    const mode = at < 0 ? '' : reference.slice(at + 1);
    if (!['', 'ro', 'rw', 'z', 'Z', 'ro,z', 'rw,z'].includes(mode)) throw invalid(`invalid mode: ${mode}`);
    const { mounts } = namedContainer(room, at < 0 ? reference : reference.slice(0, at));
    return mounts
      .filter((mount) => mount.type !== 'tmpfs')
      .map((mount) => (mode.includes('ro') ? { ...mount, readOnly: true } : mount));
  });
}

function checkLinks(room: Pick<Room, 'ledger'>, links: readonly string[] | null): void {
  for (const link of links ?? []) {
    const [name = ''] = link.split(':');
    try {
      room.ledger.find(name);
    } catch {
      throw invalid(`could not get container for ${name}: No such container: ${name}`);
    }
  }
  if ((links ?? []).length > 0) {
    throw new EngineError(
      'notImplemented',
      'links between containers are not available in this engine: containers on a bridge reach each other by address',
    );
  }
}

/** An image for other machines runs where something interprets it, so it is no error. */
function warnAboutPlatform(image: Image, host: Platform, warnings: string[]): void {
  const { os, architecture, variant } = image.config;
  const offered = { os: os || 'linux', architecture, variant };
  if (architecture === '' || platformRuns(host, offered)) return;
  const texts = { image: formatPlatform(offered), host: formatPlatform(host) };
  warnings.push(messages.foreignPlatform(texts));
}

/** Names for the volumes that this container gets for itself, so that they are known before they are made. */
function nameAnonymous(planned: readonly MountPoint[]): {
  readonly wanted: readonly MountPoint[];
  readonly own: readonly MountPoint[];
} {
  const isOwn = ({ type, name, anonymous }: MountPoint): boolean =>
    type === 'volume' && anonymous && name === '';
  const wanted = planned.map((point) => (isOwn(point) ? { ...point, name: randomId() } : point));
  return { wanted, own: wanted.filter((_, index) => planned[index] !== wanted[index]) };
}

interface Parts {
  readonly id: ContainerId;
  readonly name: string;
  readonly image: Image;
  readonly normalized: NormalizedContainer;
  readonly mounts: readonly MountPoint[];
}

function recordOf(room: Pick<Room, 'deps'>, parts: Parts): ContainerRecord {
  const { image, normalized } = parts;
  const { os, architecture, variant } = image.config;
  return {
    recordVersion: 1,
    id: parts.id,
    name: parts.name,
    created: now(),
    path: normalized.path,
    args: normalized.args,
    imageId: image.id,
    chainId: image.chainId,
    platform: { os: os || 'linux', architecture, ...(variant !== '' && { variant }) },
    driver: room.deps.snapshots.name,
    config: normalized.config,
    hostConfig: normalized.hostConfig,
    mounts: parts.mounts,
    networks: normalized.networks,
    state: NEVER_RAN,
    restartCount: 0,
    manuallyStopped: false,
    hasBeenStarted: false,
  };
}

/**
 * Two flushes. Errors: `invalidArgument`, `notFound` for the image, `conflict` for the name. Nothing is
 * left when it throws.
 */
export async function createContainer(room: Room, request: CreateRequest): Promise<CreateReply> {
  const { deps, ledger } = room;
  const warnings: string[] = [];
  const wanted = request.name === '' ? null : checkName(request.name);
  const checked = checkBody(request.body, {
    facts: deps.facts,
    settings: deps.settings,
    apiVersion: request.apiVersion,
    warnings,
  });
  checkRemapped(deps, checked.hostConfig);
  const platform =
    request.platform === null || request.platform === '' ? undefined : parsePlatform(request.platform);
  const image = await deps.images.resolve(checked.image, platform);
  const hold = deps.images.hold(image.id);
  await using rollback = new Rollback((error) =>
    deps.log.warn('undoing a create failed', { reason: String(error) }),
  );
  try {
    if (platform === undefined) warnAboutPlatform(image, deps.facts.platform, warnings);
    const id = newContainerId();
    const plain = normalizeContainer(checked, image.config.defaults, {
      shortId: shortId(id),
      machineHostname: deps.facts.hostname,
    });
    const normalized = { ...plain, hostConfig: withJoinedIds(ledger, plain.hostConfig) };
    checkLinks(room, normalized.hostConfig.Links);
    if (normalized.hostConfig.Init === true && deps.settings.initPath === null) {
      throw new EngineError('notImplemented', '--init: no init program is installed on this host');
    }
    const test = normalized.config.Healthcheck?.Test?.[0];
    if (test !== undefined && test !== 'NONE') {
      warnings.push('The health check is kept with the container, but this engine does not execute it.');
    }
    const name = wanted ?? generateName((candidate) => ledger.names.isTaken(candidate));
    ledger.names.reserve(name, id);
    rollback.push(() => ledger.names.release(name, id));
    const volumesFrom = inheritedMounts(room, normalized.hostConfig.VolumesFrom);
    const planned = await deps.volumes.planMounts({ ...normalized.mountInput, volumesFrom });
    const { wanted: named, own } = nameAnonymous(planned);
    const isAnnounced = own.length > 0;
    rollback.push(() => ledger.store.erase(id));
    if (isAnnounced) await ledger.store.announce(id, own);
    const mounts = await deps.volumes.acquire(id, named);
    rollback.push(() => deps.volumes.release(id, { mounts, removeAnonymous: true }));
    rollback.push(() => deps.snapshots.removeWritable(id));
    const record = recordOf(room, { id, name, image, normalized, mounts });
    // Side by side, and both over before anything is undone.
    const making = Promise.allSettled([
      deps.snapshots.createWritable(id, image.chainId),
      ledger.store.stage(record, isAnnounced),
    ]);
    void draftStart(room, record);
    for (const one of await making) if (one.status === 'rejected') throw one.reason;
    await ledger.store.publish(id, isAnnounced);
    const entry = ledger.add(record);
    rollback.commit();
    tell(room, entry, { action: 'create' });
    return { Id: id, Warnings: warnings };
  } finally {
    hold.release();
  }
}
