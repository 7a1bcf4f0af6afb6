/** User and group, as numbers. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Consecutive ids inside of a user namespace and the host's that they stand for. */
export interface IdMapping {
  readonly containerId: number;
  readonly hostId: number;
  readonly size: number;
}

export interface IdMappings {
  readonly uids: readonly IdMapping[];
  readonly gids: readonly IdMapping[];
}
