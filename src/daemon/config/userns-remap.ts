import { EngineError } from '#base/errors.ts';
import type { IdMapping, IdMappings, Owner } from '#base/id-mapping.ts';

/*
 * `userns-remap`: whose subordinate ids containers get. Pure: the files' texts come in as data. Error texts
 * are the reference's.
 */

/** Texts of /etc/passwd, /etc/group, /etc/subuid and /etc/subgid. */
export interface AccountFiles {
  readonly passwd: string;
  readonly group: string;
  readonly subuid: string;
  readonly subgid: string;
}

/** What `default` stands for; made when it is missing. */
export const DEFAULT_USER = 'dockremap';
const DEFAULT_WORD = 'default';
const NUMBER = /^[+-]?[0-9]{1,10}$/;
const MAX_NUMBER = 2 ** 31 - 1;

export interface Remap {
  readonly user: string;
  readonly group: string;
  readonly mappings: IdMappings;
  /** The host's ids of root in containers. */
  readonly root: Owner;
}

const bad = (message: string): EngineError => new EngineError('invalidArgument', message);

interface Account {
  readonly name: string;
  readonly id: number;
}

function accounts(text: string): Account[] {
  return text.split('\n').flatMap((line): Account[] => {
    const [name = '', , id = ''] = line.split(':');
    return name === '' || name.startsWith('#') || !/^[0-9]+$/.test(id) ? [] : [{ name, id: Number(id) }];
  });
}

function numeric(word: string): number | null {
  const value = NUMBER.test(word) ? Number(word) : Number.NaN;
  return value >= -MAX_NUMBER - 1 && value <= MAX_NUMBER ? value : null;
}

function byName(text: string, name: string): Account | undefined {
  return accounts(text).find((account) => account.name === name);
}

function byId(text: string, id: number): Account | undefined {
  return accounts(text).find((account) => account.id === id);
}

const missing = (what: string | number, database: 'passwd' | 'group'): string =>
  `getent unable to find entry "${what}" in ${database} database`;

function userOf(word: string, { passwd }: AccountFiles): Account {
  const id = numeric(word);
  if (id !== null) {
    const found = byId(passwd, id);
    if (found === undefined) throw bad(`Uid ${id} has no entry in /etc/passwd: ${missing(id, 'passwd')}`);
    return found;
  }
  const name = word === DEFAULT_WORD ? DEFAULT_USER : word;
  const found = byName(passwd, name);
  if (found === undefined)
    throw bad(`Error during uid lookup for ${JSON.stringify(name)}: ${missing(name, 'passwd')}`);
  return found;
}

/** Without a group of its own the user's number or name is the group's, too. */
function groupOf(words: readonly string[], user: Account, { group }: AccountFiles): Account {
  const [userWord = '', word] = words;
  const id = numeric(word ?? userWord);
  if (id !== null) {
    const found = byId(group, id);
    const file = word === undefined ? '/etc/group' : '/etc/passwd';
    if (found === undefined) throw bad(`Gid ${id} has no entry in ${file}: ${missing(id, 'group')}`);
    return found;
  }
  const name = word ?? user.name;
  const found = byName(group, name);
  const what = word === undefined ? 'gid' : 'groupname';
  if (found === undefined)
    throw bad(`Error during ${what} lookup for ${JSON.stringify(name)}: ${missing(name, 'group')}`);
  return found;
}

/** The ranges of a user, one after the other from 0 on inside. A line that is not well-formed is an error. */
export function subordinateRanges(text: string, user: Account): IdMapping[] {
  const ranges: IdMapping[] = [];
  let containerId = 0;
  for (const line of text.split('\n').map((each) => each.trim())) {
    if (line === '' || line.startsWith('#')) continue;
    const [name = '', start = '', count = ''] = line.split(':');
    if (name !== user.name && name !== String(user.id)) continue;
    const hostId = Number(start);
    const size = Number(count);
    const isRange = /^[0-9]+$/.test(start) && /^[0-9]+$/.test(count) && size > 0 && hostId > 0;
    if (!isRange || hostId + size > 2 ** 32 - 1 || containerId + size > 2 ** 32 - 1)
      throw bad(`Can't create ID mappings: invalid subordinate id range ${JSON.stringify(line)}`);
    ranges.push({ containerId, hostId, size });
    containerId += size;
  }
  return ranges;
}

function rangesOf(text: string, user: Account, kind: 'subuid' | 'subgid'): IdMapping[] {
  const ranges = subordinateRanges(text, user);
  if (ranges.length === 0)
    throw bad(`Can't create ID mappings: no ${kind} ranges found for user ${JSON.stringify(user.name)}`);
  return ranges;
}

/** True when `default` is asked for and its user is yet to be made. */
export function wantsDefaultUser(wish: string, files: AccountFiles): boolean {
  const [user] = wish.split(':');
  return user === DEFAULT_WORD && byName(files.passwd, DEFAULT_USER) === undefined;
}

/**
 * `user`, `user:group`, their numbers, or `default`. Null for root: nothing is remapped then. The group is
 * looked up and, as in the reference, decides nothing: ranges belong to users.
 */
export function resolveRemap(wish: string, files: AccountFiles): Remap | null {
  const words = wish.split(':');
  if (words.length > 2)
    throw bad(`Invalid user/group specification in --userns-remap: ${JSON.stringify(wish)}`);
  const user = userOf(words[0] ?? '', files);
  const group = groupOf(words, user, files);
  if (user.name === 'root') return null;
  const uids = rangesOf(files.subuid, user, 'subuid');
  const gids = rangesOf(files.subgid, user, 'subgid');
  return {
    user: user.name,
    group: group.name,
    mappings: { uids, gids },
    root: { uid: uids[0]?.hostId ?? 0, gid: gids[0]?.hostId ?? 0 },
  };
}

const FIRST_RANGE = 100_000;
const RANGE_SIZE = 65_536;

/** Where a new range of ids begins: behind every other one. */
export function nextRange(text: string): { readonly first: number; readonly last: number } {
  const ends = text.split('\n').map((line) => {
    const [, start, count] = line.split(':').map(Number);
    return Number.isFinite(start) && Number.isFinite(count) ? (start ?? 0) + (count ?? 0) : 0;
  });
  const first = Math.max(FIRST_RANGE, ...ends);
  return { first, last: first + RANGE_SIZE - 1 };
}
