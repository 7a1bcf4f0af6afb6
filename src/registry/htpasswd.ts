import { createHash, randomBytes } from 'node:crypto';
import { EngineError } from '#base/errors.ts';
import { LIMITS } from '#base/limits.ts';
import type { RegistryAccess } from './server-ports.ts';
import { Bcrypt, type BcryptHash, parseBcryptHash } from './server/bcrypt.ts';

/** What a name nobody has is checked against, so that it takes as long as another. */
const NOBODY = '$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW';

interface Verdict {
  readonly isRight: boolean;
  readonly untilMs: number;
}

/** `name:hash` lines as `htpasswd -B` writes them. Errors: `invalidArgument` with the line. */
export function parseHtpasswd(text: string): ReadonlyMap<string, BcryptHash> {
  if (Buffer.byteLength(text) > LIMITS.htpasswdBytes)
    throw new EngineError('invalidArgument', `password file: more than ${LIMITS.htpasswdBytes} bytes`);
  const users = new Map<string, BcryptHash>();
  for (const [index, line] of text.split('\n').entries()) {
    const entry = line.trim();
    if (entry === '' || entry.startsWith('#')) continue;
    const colon = entry.indexOf(':');
    const hash = colon < 1 ? null : parseBcryptHash(entry.slice(colon + 1));
    const where = `password file, line ${index + 1}`;
    if (hash === null) {
      throw new EngineError('invalidArgument', `${where}: not NAME:HASH with a bcrypt hash`, {
        hint: 'htpasswd -B makes such lines.',
      });
    }
    if (hash.cost > LIMITS.bcryptCost)
      throw new EngineError(
        'invalidArgument',
        `${where}: a cost of ${hash.cost}, at most ${LIMITS.bcryptCost}`,
      );
    users.set(entry.slice(0, colon), hash);
  }
  return users;
}

/** Null: no such header, or one that says nothing. */
function parseBasic(header: string | undefined): { readonly name: string; readonly password: string } | null {
  const match = /^basic +([A-Za-z0-9+/=_-]+) *$/i.exec(header ?? '');
  if (match === null) return null;
  const text = Buffer.from(match[1] ?? '', 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? null : { name: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** Checks Basic credentials. Passwords are checked one after the other, and few may wait. */
export class HtpasswdAccess implements RegistryAccess {
  #users: ReadonlyMap<string, BcryptHash>;
  readonly #bcrypt = new Bcrypt();
  readonly #nobody = parseBcryptHash(NOBODY);
  /**
   * A push asks dozens of times with one password. Verdicts by a keyed hash of name and password: no password
   * lies in memory.
   */
  readonly #verdicts = new Map<string, Verdict>();
  readonly #running = new Map<string, Promise<boolean>>();
  readonly #key = randomBytes(32);
  readonly #nowMs: () => number;
  readonly #maxVerdicts: number;
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    users: ReadonlyMap<string, BcryptHash>,
    options: { readonly nowMs?: () => number; readonly verdicts?: number } = {},
  ) {
    this.#users = users;
    this.#nowMs = options.nowMs ?? Date.now;
    this.#maxVerdicts = options.verdicts ?? LIMITS.passwordVerdicts;
  }

  /** Another file's users; nothing that was found out before counts any more. */
  replace(users: ReadonlyMap<string, BcryptHash>): void {
    this.#users = users;
    this.#verdicts.clear();
    this.#running.clear();
  }

  async check(authorization: string | undefined): Promise<'granted' | 'refused' | 'busy'> {
    const given = parseBasic(authorization);
    if (given === null) return 'refused';
    const text = JSON.stringify([given.name, given.password]);
    const key = createHash('sha256').update(this.#key).update(text).digest('base64');
    const known = this.#verdicts.get(key);
    if (known !== undefined && known.untilMs > this.#nowMs()) return known.isRight ? 'granted' : 'refused';
    let running = this.#running.get(key);
    if (running === undefined) {
      if (this.#running.size >= LIMITS.passwordChecks) return 'busy';
      running = this.#verify(given, key);
      this.#running.set(key, running);
    }
    return (await running) ? 'granted' : 'refused';
  }

  async #verify({ name, password }: { name: string; password: string }, key: string): Promise<boolean> {
    const users = this.#users;
    const turn = this.#last.then(async () => {
      const hash = users.get(name);
      const against = hash ?? this.#nobody;
      const isRight = against !== null && (await this.#bcrypt.verify(password, against));
      return hash !== undefined && isRight;
    });
    this.#last = turn;
    const isRight = await turn;
    // The users may have been replaced meanwhile.
    if (users === this.#users) this.#remember(key, isRight);
    return isRight && users === this.#users;
  }

  #remember(key: string, isRight: boolean): void {
    this.#running.delete(key);
    this.#verdicts.set(key, { isRight, untilMs: this.#nowMs() + LIMITS.passwordVerdictMs });
    const oldest = this.#verdicts.keys().next();
    if (this.#verdicts.size > this.#maxVerdicts && oldest.done === false) this.#verdicts.delete(oldest.value);
  }
}
