import { isEngineError } from '#base/errors.ts';
import type { Digest } from '#oci/digest.ts';
import { EMPTY_DEFAULTS, type Healthcheck, type ImageDefaults } from '#oci/image-config.ts';
import { familiarReference } from '#oci/reference.ts';
import { applyChanges } from '#image/changes.ts';
import type { CommitRequest } from './container-service.ts';
import { checkStillThere, findReadable, treeOwner } from './export.ts';
import { pauseContainer, unpauseContainer } from './pause.ts';
import type { ContainerConfig, ContainerRecord } from './record.ts';
import type { Entry } from './record/ledger.ts';
import { tell, type Room } from './room.ts';

/** Files and mount points that every container has of its own. */
const OWN_PATHS: readonly string[] = ['/etc/hosts', '/etc/hostname', '/etc/resolv.conf', '/sbin/docker-init'];

function healthcheckOf({ Healthcheck: check }: ContainerConfig): Healthcheck | null {
  if (check === undefined) return null;
  return {
    test: check.Test ?? [],
    intervalNs: check.Interval ?? 0,
    timeoutNs: check.Timeout ?? 0,
    startPeriodNs: check.StartPeriod ?? 0,
    startIntervalNs: check.StartInterval ?? 0,
    retries: check.Retries ?? 0,
  };
}

/** A container's configuration as that of an image. */
export function defaultsOf(config: ContainerConfig): ImageDefaults {
  return {
    ...EMPTY_DEFAULTS,
    user: config.User,
    workingDir: config.WorkingDir,
    exposedPorts: config.ExposedPorts === undefined ? null : Object.keys(config.ExposedPorts),
    env: config.Env,
    entrypoint: config.Entrypoint,
    cmd: config.Cmd,
    volumes: config.Volumes === null ? null : Object.keys(config.Volumes),
    labels: config.Labels,
    stopSignal: config.StopSignal ?? '',
    stopTimeoutSeconds: config.StopTimeout ?? null,
    shell: config.Shell ?? null,
    onBuild: config.OnBuild,
    healthcheck: healthcheckOf(config),
    argsEscaped: config.ArgsEscaped ?? false,
  };
}

function union(own: readonly string[] | null, more: readonly string[] | null): readonly string[] | null {
  if (own === null || more === null) return own ?? more;
  return [...new Set([...own, ...more])];
}

function mergedCheck(own: Healthcheck | null, other: Healthcheck | null): Healthcheck | null {
  if (own === null || other === null) return own ?? other;
  return {
    test: own.test.length > 0 ? own.test : other.test,
    intervalNs: own.intervalNs || other.intervalNs,
    timeoutNs: own.timeoutNs || other.timeoutNs,
    startPeriodNs: own.startPeriodNs || other.startPeriodNs,
    startIntervalNs: own.startIntervalNs || other.startIntervalNs,
    retries: own.retries || other.retries,
  };
}

/** What was asked for, completed from the container as the reference does. */
export function mergeDefaults(own: ImageDefaults, container: ImageDefaults): ImageDefaults {
  const names = new Set((own.env ?? []).map((entry) => entry.split('=')[0]));
  const env = (container.env ?? []).filter((entry) => !names.has(entry.split('=')[0]));
  const all = [...(own.env ?? []), ...env];
  const hasEntrypoint = (own.entrypoint ?? []).length > 0;
  const takesCommand = !hasEntrypoint && (own.cmd ?? []).length === 0;
  return {
    ...own,
    user: own.user || container.user,
    exposedPorts: union(own.exposedPorts, container.exposedPorts),
    env: all.length === 0 ? null : all,
    labels: own.labels === null ? container.labels : { ...container.labels, ...own.labels },
    cmd: takesCommand ? container.cmd : own.cmd,
    argsEscaped: takesCommand ? container.argsEscaped : own.argsEscaped,
    entrypoint: own.entrypoint ?? container.entrypoint,
    healthcheck: mergedCheck(own.healthcheck, container.healthcheck),
    workingDir: own.workingDir || container.workingDir,
    volumes: union(own.volumes, container.volumes),
    stopSignal: own.stopSignal || container.stopSignal,
  };
}

function excludedPaths({ mounts, hostConfig }: ContainerRecord): readonly string[] {
  return [...OWN_PATHS, ...mounts.map((mount) => mount.destination), ...Object.keys(hostConfig.Tmpfs ?? {})];
}

/**
 * Runs `work` while the container's processes stand still. One that cannot be paused, or that was paused
 * already, is read as it is.
 */
async function whilePaused<T>(room: Room, entry: Entry, work: () => Promise<T>): Promise<T> {
  const { id, state } = entry.record;
  const paused =
    state.status === 'running' &&
    (await pauseContainer(room, id).then(
      () => true,
      () => false,
    ));
  try {
    return await work();
  } finally {
    // It may have ended, or somebody else let it go on.
    if (paused) {
      await unpauseContainer(room, id).catch((error: unknown) => {
        if (!isEngineError(error)) throw error;
      });
    }
  }
}

/** Gives the new image's id. Errors: `notFound`, `conflict`, `invalidArgument`. */
export async function commitContainer(
  room: Room,
  reference: string,
  request: CommitRequest,
): Promise<Digest> {
  const { images, treeReader } = room.deps;
  const entry = findReadable(room, reference, 'commit');
  const { record } = entry;
  const container = defaultsOf(record.config);
  const changed = applyChanges(request.defaults ?? container, request.changes);
  const defaults = mergeDefaults(changed, container);
  const excluded = excludedPaths(record);
  const id = await images.commit({
    parent: record.imageId as Digest,
    defaults,
    author: request.author,
    comment: request.comment,
    createdBy: (record.config.Cmd ?? []).join(' '),
    target: request.target,
    layer: async (lease) => {
      const read = () => treeReader.layer(treeOwner(record), { excluded, lease });
      const blob = await (request.pause ? whilePaused(room, entry, read) : read());
      checkStillThere(room, entry);
      return blob;
    },
  });
  const imageRef = request.target === null ? '' : familiarReference(request.target);
  tell(room, entry, { action: 'commit', attributes: { comment: request.comment, imageID: id, imageRef } });
  return id;
}
