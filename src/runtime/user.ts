import { EngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';

/** A user as the container's own /etc/passwd and /etc/group resolve it. */
export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  /** The primary group first. */
  readonly additionalGids: readonly number[];
  /** Home directory of the passwd entry, `/` when there is none. */
  readonly home: string;
}

export interface UserQuery {
  /** '' (root), `name`, `uid`, or either with `:group` or `:gid`. */
  readonly user: string;
  /** Names or ids of `--group-add`. */
  readonly groupAdd: readonly string[];
  /** Text of the container's /etc/passwd and /etc/group; null when there is no such (regular) file. */
  readonly passwd: string | null;
  readonly group: string | null;
}

interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

const MAX_ID = 2 ** 31 - 1;

/** Lines of a colon-separated file; too long a file is cut at its limit, the torn last line left out. */
function rows(text: string | null): string[][] {
  if (text === null) return [];
  const whole =
    text.length <= LIMITS.passwdBytes ? text : text.slice(0, text.lastIndexOf('\n', LIMITS.passwdBytes));
  return whole
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(':'));
}

/** An entry with an unreadable id is left out: nobody becomes root by a typing error. */
function parsePasswd(text: string | null): PasswdEntry[] {
  return rows(text).flatMap(([name = '', , uid = '', gid = '', , home = '']) => {
    const [user, group] = [number(uid), number(gid)];
    return user === undefined || group === undefined ? [] : [{ name, uid: user, gid: group, home }];
  });
}

function parseGroup(text: string | null): GroupEntry[] {
  return rows(text).flatMap(([name = '', , gid = '', members = '']) => {
    const id = number(gid);
    return id === undefined ? [] : [{ name, gid: id, members: members.split(',') }];
  });
}

/** As Go's Atoi: an optional sign and digits that fit 64 bits. */
function number(text: string): number | undefined {
  if (!/^[+-]?[0-9]+$/.test(text)) return undefined;
  const value = BigInt(text.replace(/^\+/, ''));
  return value > 2n ** 63n - 1n || value < -(2n ** 63n) ? undefined : Number(value);
}

function inRange(id: number): number {
  if (id < 0 || id > MAX_ID)
    throw new EngineError('invalidArgument', `uids and gids must be in range 0-${MAX_ID}`);
  return id;
}

function noGroup(name: string): EngineError {
  return new EngineError(
    'invalidArgument',
    `unable to find group ${name}: no matching entries in group file`,
  );
}

function groupId(wanted: string, groups: readonly GroupEntry[]): number {
  const id = number(wanted);
  const found = groups.find((entry) => (id === undefined ? entry.name === wanted : entry.gid === id));
  if (found !== undefined) return inRange(found.gid);
  if (id === undefined) throw noGroup(wanted);
  return inRange(id);
}

/**
 * Pure. Errors: `invalidArgument` with the reference's texts. An explicit group takes the place of all groups
 * that name the user
 * as a member.
 */
export function resolveUser(query: UserQuery): ResolvedUser {
  const colon = query.user.indexOf(':');
  const userPart = colon < 0 ? query.user : query.user.slice(0, colon);
  const groupPart = colon < 0 ? '' : query.user.slice(colon + 1);
  const users = parsePasswd(query.passwd);
  const groups = parseGroup(query.group);
  const wantedUid = userPart === '' ? 0 : number(userPart);
  // A number is always an id: an image cannot make `--user 1000` mean root by an entry of that name.
  const entry = users.find((user) =>
    wantedUid === undefined ? user.name === userPart : user.uid === wantedUid,
  );
  if (entry === undefined && wantedUid === undefined) {
    throw new EngineError(
      'invalidArgument',
      `unable to find user ${userPart}: no matching entries in passwd file`,
    );
  }
  const uid = inRange(entry?.uid ?? wantedUid ?? 0);
  const gid = inRange(groupPart === '' ? (entry?.gid ?? 0) : groupId(groupPart, groups));
  const member =
    groupPart === '' && entry !== undefined
      ? groups.filter((group) => group.members.includes(entry.name)).map((group) => inRange(group.gid))
      : [];
  const added = query.groupAdd.map((name) => groupId(name, groups));
  return { uid, gid, additionalGids: [...new Set([gid, ...member, ...added])], home: entry?.home || '/' };
}
