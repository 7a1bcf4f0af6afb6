import { randomBytes } from 'node:crypto';
import type { Access, IssuedToken, User } from './plan.ts';

export interface Asked {
  readonly authorization: string;
  /** `pull`, `push` or `''` for `/v2/` itself. */
  readonly action: '' | 'pull' | 'push';
  readonly repository: string;
}

export interface Refusal {
  readonly status: 401 | 403;
  readonly code: 'UNAUTHORIZED' | 'DENIED';
  readonly message: string;
  readonly headers: Readonly<Record<string, string>>;
}

const UNAUTHORIZED = { code: 'UNAUTHORIZED', message: 'authentication required', status: 401 } as const;

export function matches(pattern: string, repository: string): boolean {
  return pattern.endsWith('*') ? repository.startsWith(pattern.slice(0, -1)) : pattern === repository;
}

function mayUse(user: User, asked: Pick<Asked, 'action' | 'repository'>): boolean {
  if (asked.action === '') return true;
  return user[asked.action].some((pattern) => matches(pattern, asked.repository));
}

export function basicUser(authorization: string, users: readonly User[]): User | undefined {
  if (!authorization.startsWith('Basic ')) return undefined;
  const text = Buffer.from(authorization.slice('Basic '.length), 'base64').toString('utf8');
  const colon = text.indexOf(':');
  const [name, password] = [text.slice(0, colon), text.slice(colon + 1)];
  return users.find((user) => user.name === name && user.password === password);
}

interface Grant {
  readonly registry: string;
  readonly scopes: readonly string[];
}

export interface TokenRequest {
  readonly registry: string;
  readonly access: Extract<Access, { kind: 'token' }>;
  readonly authorization: string;
  readonly parameters: URLSearchParams;
  readonly isForm: boolean;
}

export interface TokenAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

const BAD_USER: TokenAnswer = { status: 401, body: { details: 'incorrect username or password' } };

/** Tokens that were given out, and the decision whether a request may pass. */
export class Gate {
  readonly #grants = new Map<string, Grant>();

  issued(): IssuedToken[] {
    return [...this.#grants].map(([token, grant]) => ({ token, ...grant }));
  }

  /** The answer of a token server: scopes that the user does not have are left out, as everywhere. */
  token(request: TokenRequest): TokenAnswer {
    const { access, parameters } = request;
    const user = this.#userOf(request);
    if (user === 'wrong') return BAD_USER;
    const scopes = parameters
      .getAll('scope')
      .flatMap((scope) => scope.split(' '))
      .flatMap((scope) => this.#granted(scope, { user, anonymous: access.anonymous }));
    const token = randomBytes(16).toString('hex');
    this.#grants.set(token, { registry: request.registry, scopes });
    const wantsIdentity = parameters.get('offline_token') === 'true' || request.isForm;
    const identity =
      access.identityToken !== undefined && user !== undefined && wantsIdentity
        ? { refresh_token: access.identityToken }
        : {};
    return { status: 200, body: { [access.member]: token, expires_in: 300, ...identity } };
  }

  /** `undefined`: the request may pass. */
  refusal(host: string, access: Access, asked: Asked): Refusal | undefined {
    if (access.kind === 'none') return undefined;
    if (access.kind === 'basic') {
      const user = basicUser(asked.authorization, access.users);
      if (user === undefined) return { ...UNAUTHORIZED, headers: { 'www-authenticate': access.realm } };
      if (mayUse(user, asked)) return undefined;
      return {
        status: 403,
        code: 'DENIED',
        message: 'requested access to the resource is denied',
        headers: {},
      };
    }
    const grant = this.#grants.get(asked.authorization.slice('Bearer '.length));
    const scope = asked.action === 'push' ? 'pull,push' : 'pull';
    if (grant?.registry === host) {
      if (asked.action === '') return undefined;
      if (grant.scopes.includes(`${asked.repository}:${asked.action}`)) return undefined;
    }
    const asks = asked.action === '' ? '' : `,scope="repository:${asked.repository}:${scope}"`;
    const error = grant === undefined ? '' : ',error="insufficient_scope"';
    const challenge = `Bearer realm="${access.realm}",service="${access.service}"${asks}${error}`;
    return { ...UNAUTHORIZED, headers: { 'www-authenticate': challenge } };
  }

  #userOf(request: TokenRequest): User | undefined | 'wrong' {
    const { access, parameters, authorization } = request;
    if (request.isForm && parameters.get('grant_type') === 'refresh_token') {
      const isRight = parameters.get('refresh_token') === access.identityToken;
      return isRight ? (access.users[0] ?? 'wrong') : 'wrong';
    }
    if (request.isForm) {
      const [name, password] = [parameters.get('username'), parameters.get('password')];
      return access.users.find((user) => user.name === name && user.password === password) ?? 'wrong';
    }
    if (authorization === '') return undefined;
    return basicUser(authorization, access.users) ?? 'wrong';
  }

  #granted(
    scope: string,
    to: { readonly user: User | undefined; readonly anonymous: readonly string[] },
  ): string[] {
    const [, repository = '', actions = ''] = /^repository:(.+):([a-z,*]+)$/.exec(scope) ?? [];
    return actions.split(',').flatMap((action) => {
      if (action !== 'pull' && action !== 'push') return [];
      const isOpen = action === 'pull' && to.anonymous.some((pattern) => matches(pattern, repository));
      const isTheirs = to.user !== undefined && mayUse(to.user, { action, repository });
      return isOpen || isTheirs ? [`${repository}:${action}`] : [];
    });
  }
}
