/** A user as the container's own /etc/passwd and /etc/group resolve it. */
export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  /** Home directory of the passwd entry, `/` when there is none. */
  readonly home: string;
}
