import type { ContainerService } from '#container/container-service.ts';
import type { ImageService } from '#image/image-service.ts';
import type { NetworkService } from '#network/service.ts';
import type { VolumeService } from '#volume/service.ts';
import type { JsonObject } from '#base/json.ts';
import type { EventsService } from '../events.ts';

/*
 * What each noun's routes need, no more. The rooms' services satisfy these as they are; tests of the server
 * pass plain objects.
 */

export type ContainerBackend = Pick<
  ContainerService,
  | 'create'
  | 'start'
  | 'stop'
  | 'restart'
  | 'kill'
  | 'pause'
  | 'unpause'
  | 'rename'
  | 'update'
  | 'remove'
  | 'wait'
  | 'resize'
  | 'attach'
  | 'logs'
  | 'top'
  | 'list'
  | 'inspect'
  | 'prune'
  | 'commit'
  | 'export'
  | 'changes'
>;

export type ExecBackend = Pick<ContainerService, 'execCreate' | 'execStart' | 'execInspect' | 'execResize'>;

export type ImageBackend = Pick<
  ImageService,
  | 'list'
  | 'inspect'
  | 'history'
  | 'load'
  | 'importTar'
  | 'save'
  | 'tag'
  | 'remove'
  | 'prune'
  | 'resolve'
  | 'explain'
  | 'diff'
  | 'planPrune'
  | 'planPull'
  | 'pull'
  | 'push'
  | 'importUrl'
  | 'login'
  | 'search'
  | 'distribution'
>;

export type NetworkBackend = Pick<NetworkService, 'list' | 'inspect'>;

export type VolumeBackend = Pick<
  VolumeService,
  'create' | 'list' | 'inspect' | 'remove' | 'usedBy' | 'prune'
>;

export interface SystemBackend {
  /** `SystemVersion` of the API. */
  version(): Promise<JsonObject>;
  /** `SystemInfo` of the API. */
  info(apiVersion: string): Promise<JsonObject>;
  /** `types`: which of container, image, volume, build-cache; empty: all. */
  diskUsage(types: readonly string[]): Promise<JsonObject>;
}

export interface Backends {
  readonly containers: ContainerBackend;
  readonly execs: ExecBackend;
  readonly images: ImageBackend;
  readonly networks: NetworkBackend;
  readonly volumes: VolumeBackend;
  readonly system: SystemBackend;
  readonly events: EventsService;
}
