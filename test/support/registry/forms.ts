import type { Access, RegistryRole, Role, User } from './plan.ts';

/**
 * The manners of registries that people use: where the realm is, what a user is called, how addresses in
 * answers look, where blobs really lie.
 */
export const FORM_NAMES = [
  'hub',
  'ghcr',
  'ecr',
  'gcr',
  'acr',
  'aliyun',
  'harbor',
  'gitlab',
  'artifactory',
  'mirror',
  'plain',
] as const;
export type FormName = (typeof FORM_NAMES)[number];

export interface Form {
  /** What stands before the repository in a reference; nothing for Docker Hub. */
  readonly domain: string;
  /** What `docker login` is told; the same as the domain but for Docker Hub. */
  readonly loginServer: string;
  readonly isTls: boolean;
  readonly hosts: Readonly<Record<string, readonly Role[]>>;
  /** May be pulled by anyone, where the form has such images. */
  readonly open: string;
  /** Needs a user. */
  readonly closed: string;
  readonly user: User | null;
  /** Hosts that may see the user's password or identity token. */
  readonly trusted: readonly string[];
  /** Of the mirror: daemon.json. */
  readonly config?: Readonly<Record<string, unknown>>;
}

const ANSWERS = { location: 'absolute', link: 'relative' } as const;

function user(name: string, password: string, patterns: readonly string[]): User {
  return { name, password, pull: patterns, push: patterns };
}

function registry(access: Access, more: Partial<RegistryRole> = {}): RegistryRole {
  return { role: 'registry', access, ...ANSWERS, ...more };
}

function hub(): Form {
  const api = 'registry-1.docker.io';
  const someone = user('someone', 'hub-secret', ['someone/*']);
  const access: Access = {
    ...{ kind: 'token', realm: 'https://auth.docker.io/token', service: 'registry.docker.io' },
    ...{ users: [someone], anonymous: ['library/*'], member: 'token' },
  };
  return {
    ...{ domain: '', loginServer: 'https://index.docker.io/v1/', isTls: true },
    hosts: {
      [api]: [registry(access, { blobsAt: 'https://production.cloudflare.docker.com' })],
      'auth.docker.io': [{ role: 'token', of: api }],
      'index.docker.io': [registry({ kind: 'none' })],
      'production.cloudflare.docker.com': [{ role: 'blobs' }],
    },
    ...{ open: 'library/open', closed: 'someone/closed', user: someone, trusted: ['auth.docker.io'] },
  };
}

function ghcr(): Form {
  const host = 'ghcr.io';
  const someone = user('octo', 'ghp_secret', ['octo/*']);
  const access: Access = {
    ...{ kind: 'token', realm: `https://${host}/token`, service: host },
    ...{ users: [someone], anonymous: ['octo/team/open'], member: 'token' },
  };
  return {
    ...{ domain: host, loginServer: host, isTls: true },
    hosts: {
      [host]: [
        registry(access, { blobsAt: 'https://pkg-containers.githubusercontent.com' }),
        { role: 'token', of: host },
      ],
      'pkg-containers.githubusercontent.com': [{ role: 'blobs' }],
    },
    ...{ open: 'octo/team/open', closed: 'octo/team/closed', user: someone, trusted: [host] },
  };
}

function ecr(): Form {
  const host = '123456789012.dkr.ecr.eu-west-1.amazonaws.com';
  const store = 'prod-eu-west-1-starport-layer-bucket.s3.eu-west-1.amazonaws.com';
  const someone = user('AWS', 'eyJwYXlsb2FkIjoi'.repeat(100), ['*']);
  const realm = `Basic realm="https://${host}/",service="ecr.amazonaws.com"`;
  return {
    ...{ domain: host, loginServer: host, isTls: true },
    hosts: {
      [host]: [registry({ kind: 'basic', realm, users: [someone] }, { blobsAt: `https://${store}` })],
      [store]: [{ role: 'blobs' }],
    },
    ...{ open: '', closed: 'team/app', user: someone, trusted: [host] },
  };
}

function gcr(): Form {
  const host = 'gcr.io';
  const key = JSON.stringify({ type: 'service_account', private_key: 'a:b\n"c"' }, null, 2);
  const someone = user('_json_key', key, ['project/*']);
  const access: Access = {
    ...{ kind: 'token', realm: `https://${host}/v2/token`, service: host },
    ...{ users: [someone, user('oauth2accesstoken', 'ya29.secret', ['project/*'])] },
    ...{ anonymous: ['project/open'], member: 'token' },
  };
  return {
    ...{ domain: host, loginServer: host, isTls: true },
    hosts: { [host]: [{ role: 'token', of: host }, registry(access)] },
    ...{ open: 'project/open', closed: 'project/closed', user: someone, trusted: [host] },
  };
}

function acr(): Form {
  const host = 'team.azurecr.io';
  const someone = user('00000000-0000-0000-0000-000000000000', 'acr-secret', ['app/*']);
  const access: Access = {
    ...{ kind: 'token', realm: `https://${host}/oauth2/token`, service: host },
    ...{ users: [someone], anonymous: [], member: 'access_token', identityToken: 'acr-identity' },
  };
  return {
    ...{ domain: host, loginServer: host, isTls: true },
    hosts: {
      [host]: [
        registry(access, { location: 'relative', blobsAt: 'https://weumanaged.blob.core.windows.net' }),
        { role: 'token', of: host },
      ],
      'weumanaged.blob.core.windows.net': [{ role: 'blobs' }],
    },
    ...{ open: '', closed: 'app/closed', user: someone, trusted: [host] },
  };
}

function aliyun(): Form {
  const host = 'registry.cn-hangzhou.aliyuncs.com';
  const realm = 'dockerauth.cn-hangzhou.aliyuncs.com';
  const someone = user('team@1234567890', 'aliyun-secret', ['team/*']);
  const access: Access = {
    ...{ kind: 'token', realm: `https://${realm}/auth`, service: 'registry.aliyuncs.com:cn-hangzhou:26842' },
    ...{ users: [someone], anonymous: ['team/open'], member: 'token' },
  };
  return {
    ...{ domain: host, loginServer: host, isTls: true },
    hosts: { [host]: [registry(access)], [realm]: [{ role: 'token', of: host }] },
    ...{ open: 'team/open', closed: 'team/closed', user: someone, trusted: [realm] },
  };
}

function harbor(): Form {
  const host = 'harbor.example';
  const someone = user('robot$team+ci', 'harbor-secret', ['team/*']);
  const access: Access = {
    ...{ kind: 'token', realm: `https://${host}/service/token`, service: 'harbor-registry' },
    ...{ users: [someone], anonymous: ['team/open'], member: 'token' },
  };
  return {
    ...{ domain: host, loginServer: host, isTls: true },
    hosts: { [host]: [registry(access, { location: 'relative' }), { role: 'token', of: host }] },
    ...{ open: 'team/open', closed: 'team/sub/closed', user: someone, trusted: [host] },
  };
}

function gitlab(): Form {
  const host = 'registry.gitlab.example:5050';
  const realm = 'gitlab.example';
  const someone = user('deploy', 'gldt-secret', ['group/*']);
  const access: Access = {
    ...{ kind: 'token', realm: `https://${realm}/jwt/auth`, service: 'container_registry' },
    ...{ users: [someone], anonymous: ['group/a/b/open'], member: 'token' },
  };
  return {
    ...{ domain: host, loginServer: host, isTls: true },
    hosts: { [host]: [registry(access)], [realm]: [{ role: 'token', of: host }] },
    ...{ open: 'group/a/b/open', closed: 'group/a/b/c/project/closed', user: someone, trusted: [realm] },
  };
}

function artifactory(): Form {
  const host = 'artifactory.example';
  const someone = user('dev', 'artifactory:secret', ['docker-local/*']);
  const access: Access = {
    ...{ kind: 'token', realm: `https://${host}/artifactory/api/docker/docker-local/v2/token` },
    ...{ service: host, users: [someone], anonymous: ['docker-local/team/open'], member: 'token' },
  };
  return {
    ...{ domain: host, loginServer: host, isTls: true },
    hosts: {
      [host]: [registry(access, { location: 'relative', link: 'absolute' }), { role: 'token', of: host }],
    },
    ...{ open: 'docker-local/team/open', closed: 'docker-local/team/closed', user: someone, trusted: [host] },
  };
}

/** A mirror of a registry that cannot be reached. */
function mirror(): Form {
  return {
    ...{ domain: 'origin.example', loginServer: 'origin.example', isTls: true },
    hosts: { 'mirror.example': [registry({ kind: 'none' }, { mirrorOf: 'origin.example' })] },
    ...{ open: 'team/app', closed: '', user: null, trusted: ['origin.example'] },
    config: { 'registry-mirrors': ['https://mirror.example'] },
  };
}

function plain(): Form {
  const host = '127.0.0.1:5000';
  return {
    ...{ domain: host, loginServer: host, isTls: false },
    hosts: { [host]: [registry({ kind: 'none' }, { location: 'relative' })] },
    ...{ open: 'team/app', closed: '', user: null, trusted: [] },
  };
}

const FORMS: Readonly<Record<FormName, () => Form>> = {
  ...{ hub, ghcr, ecr, gcr, acr, aliyun, harbor, gitlab, artifactory, mirror, plain },
};

export function formOf(name: FormName): Form {
  return FORMS[name]();
}

export function referenceOf(form: Form, repository: string, tag: string): string {
  const path = form.domain === '' ? repository.replace(/^library\//, '') : `${form.domain}/${repository}`;
  return `${path}:${tag}`;
}
