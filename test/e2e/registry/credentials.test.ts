import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import type { CommandResult } from '../../support/command.ts';
import { CredentialPrograms } from '../../support/registry/credential-program.ts';
import {
  assertCredentialsStay,
  type RegistryTest,
  registryTest,
  smallLayers,
} from '../../support/registry/fixture.ts';
import { OPEN_REGISTRY, type RegistryRole, type User } from '../../support/registry/plan.ts';

/* What the CLI keeps, where it keeps it, and what of it comes to which registry. */

const BASIC = '127.0.0.1:5000';
const TOKEN = '127.0.0.1:5001';
const REALM = '127.0.0.1:5002';
const someone: User = { name: 'someone', password: 'my secret', pull: ['*'], push: ['*'] };
const BASIC_HEADER = `Basic ${Buffer.from(`${someone.name}:${someone.password}`).toString('base64')}`;
const basic: RegistryRole = {
  ...OPEN_REGISTRY,
  access: { kind: 'basic', realm: 'Basic realm="x"', users: [someone] },
};

function tokens(identityToken?: string): RegistryRole {
  const users = { users: [someone], anonymous: [], ...(identityToken !== undefined && { identityToken }) };
  return {
    ...OPEN_REGISTRY,
    access: {
      ...{ kind: 'token', realm: `http://${REALM}/token`, service: 'svc', member: 'token' },
      ...users,
    },
  };
}

const ground = (identityToken?: string) => ({
  hosts: {
    ...{ [BASIC]: [basic], [TOKEN]: [tokens(identityToken)] },
    [REALM]: [{ role: 'token', of: TOKEN } as const],
  },
  tls: 'none' as const,
  images: [{ repository: 'team/app', tags: ['v'], layers: smallLayers('kept') }],
});

/** The CLI with these programs in its PATH. */
class Cli {
  readonly #given: RegistryTest;
  readonly programs: CredentialPrograms;

  constructor(given: RegistryTest, programs: CredentialPrograms) {
    this.#given = given;
    this.programs = programs;
  }

  run(
    args: readonly string[],
    of: { env?: Record<string, string>; input?: string } = {},
  ): Promise<CommandResult> {
    const env = { PATH: this.programs.path, ...of.env };
    return this.#given.daemon.docker(args, { env, ...(of.input !== undefined && { input: of.input }) });
  }

  async must(args: readonly string[]): Promise<string> {
    const { exit, stdout, stderr } = await this.run(args);
    assert.equal(exit, 0, `docker ${args.join(' ')}: ${stderr}`);
    return stdout;
  }

  logIn(host: string, password = someone.password, env: Record<string, string> = {}): Promise<CommandResult> {
    const args = ['login', '--username', someone.name, '--password-stdin', host];
    return this.run(args, { input: `${password}\n`, env });
  }

  get #file(): string {
    return `${this.#given.daemon.root}/cli/config.json`;
  }

  async configure(config: unknown): Promise<void> {
    await writeFile(this.#file, JSON.stringify(config));
  }

  async auths(): Promise<unknown> {
    return (JSON.parse(await readFile(this.#file, 'utf8')) as { auths?: unknown }).auths;
  }
}

async function cliOf(given: RegistryTest, names: readonly string[]): Promise<Cli> {
  return new Cli(given, await CredentialPrograms.make(`${given.daemon.root}/programs`, names));
}

/** Pulls `v`, pushes it under another name, and forgets both. */
async function pullsAndPushes(cli: Cli, host: string): Promise<void> {
  await cli.must(['pull', `${host}/team/app:v`]);
  await cli.must(['tag', `${host}/team/app:v`, `${host}/team/pushed:w`]);
  assert.match(await cli.must(['push', `${host}/team/pushed:w`]), /w: digest: sha256:/);
  await cli.must(['rmi', `${host}/team/app:v`, `${host}/team/pushed:w`]);
}

registryTest('a store keeps what login gives it, and logout takes it away', ground(), async (given) => {
  const { standin } = given;
  const cli = await cliOf(given, ['kept']);
  await cli.configure({ credsStore: 'kept' });
  const said = await cli.logIn(BASIC);
  assert.deepEqual([said.exit, said.stdout, said.stderr], [0, 'Login Succeeded\n', '']);
  const entry = { ServerURL: BASIC, Username: someone.name, Secret: someone.password };
  assert.deepEqual(await cli.programs.kept('kept'), [entry]);
  assert.deepEqual(await cli.auths(), { [BASIC]: {} }, 'no secret is in the file');
  await cli.programs.calls('kept');
  await standin.ledger({ clear: true });
  await pullsAndPushes(cli, BASIC);
  assert.ok((await cli.programs.calls('kept')).every((verb) => verb === 'get'));
  const { entries } = await standin.ledger({ clear: true });
  const taken = entries.filter(({ status }) => status < 400).map(({ authorization }) => authorization);
  assert.ok(taken.length > 5);
  for (const authorization of taken) assert.equal(authorization, BASIC_HEADER);
  const again = await cli.run(['login', BASIC]);
  assert.deepEqual([again.exit, again.stdout], [0, 'Login Succeeded\n'], again.stderr);
  assert.match(again.stderr, /^Authenticating with existing credentials\.\.\./);
  await cli.programs.calls('kept');
  assert.match(await cli.must(['logout', BASIC]), /^Removing login credentials for 127\.0\.0\.1:5000\n$/);
  assert.deepEqual(await cli.programs.kept('kept'), []);
  assert.ok((await cli.programs.calls('kept')).includes('erase'));
  await standin.ledger({ clear: true });
  const { exit, stderr } = await cli.run(['pull', `${BASIC}/team/app:v`]);
  assert.equal(exit, 1);
  assert.match(stderr, /no basic auth credentials\n$/);
  for (const { authorization } of (await standin.ledger()).entries) assert.equal(authorization, '');
});

registryTest('a store keeps an identity token as <token>', ground('my-identity'), async (given) => {
  const { standin } = given;
  const cli = await cliOf(given, ['kept']);
  await cli.configure({ credsStore: 'kept' });
  assert.equal((await cli.logIn(TOKEN)).stdout, 'Login Succeeded\n');
  const entry = { ServerURL: TOKEN, Username: '<token>', Secret: 'my-identity' };
  assert.deepEqual(await cli.programs.kept('kept'), [entry], 'the password is not kept');
  await standin.ledger({ clear: true });
  await pullsAndPushes(cli, TOKEN);
  const ledger = await standin.ledger();
  const asked = ledger.entries.filter(({ host }) => host === REALM);
  assert.ok(asked.length > 0);
  for (const { method, form, authorization } of asked) {
    assert.deepEqual([method, authorization], ['POST', '']);
    const fields = new URLSearchParams(form);
    assert.deepEqual(
      ['grant_type', 'refresh_token', 'service'].map((name) => fields.get(name)),
      ['refresh_token', 'my-identity', 'svc'],
    );
  }
  assertCredentialsStay(ledger, { secrets: ['my-identity', someone.password], hosts: [REALM] });
  await cli.must(['logout', TOKEN]);
  assert.deepEqual(await cli.programs.kept('kept'), []);
});

registryTest(
  'a file keeps an identity token, and a password for the others',
  ground('my-identity'),
  async (given) => {
    const cli = await cliOf(given, []);
    const plain = await cli.logIn(BASIC);
    assert.match(plain.stderr, /WARNING! Your credentials are stored unencrypted in '[^']+config\.json'/);
    assert.equal((await cli.logIn(TOKEN)).exit, 0);
    const auth = (text: string): string => Buffer.from(text).toString('base64');
    assert.deepEqual(await cli.auths(), {
      [BASIC]: { auth: auth(`${someone.name}:${someone.password}`) },
      [TOKEN]: { auth: auth(`${someone.name}:`), identitytoken: 'my-identity' },
    });
    for (const host of [BASIC, TOKEN]) await pullsAndPushes(cli, host);
    for (const host of [BASIC, TOKEN]) await cli.must(['logout', host]);
    assert.deepEqual((await cli.auths()) ?? {}, {});
  },
);

registryTest('a helper for one registry, a store for the rest', ground(), async (given) => {
  const { standin } = given;
  const cli = await cliOf(given, ['one', 'rest']);
  await cli.configure({ credsStore: 'rest', credHelpers: { [TOKEN]: 'one' } });
  for (const host of [BASIC, TOKEN]) assert.equal((await cli.logIn(host)).exit, 0);
  const serversOf = async (name: string): Promise<string[]> =>
    (await cli.programs.kept(name)).map(({ ServerURL }) => ServerURL);
  assert.deepEqual([await serversOf('one'), await serversOf('rest')], [[TOKEN], [BASIC]]);
  for (const name of ['one', 'rest']) await cli.programs.calls(name);
  await pullsAndPushes(cli, TOKEN);
  assert.ok((await cli.programs.calls('one')).includes('get'));
  assert.deepEqual(await cli.programs.calls('rest'), []);
  await pullsAndPushes(cli, BASIC);
  assert.deepEqual(await cli.programs.calls('one'), []);
  assert.ok((await cli.programs.calls('rest')).includes('get'));
  const ledger = await standin.ledger();
  assertCredentialsStay(ledger, { secrets: [someone.password], hosts: [BASIC, REALM] });
  for (const host of [BASIC, TOKEN]) await cli.must(['logout', host]);
  assert.deepEqual([await serversOf('one'), await serversOf('rest')], [[], []]);
});

registryTest('a helper that fails, and one that is not there', ground(), async (given) => {
  const { standin } = given;
  const cli = await cliOf(given, ['kept']);
  await cli.configure({ credsStore: 'kept' });
  const locked = { TEST_STORE_FAILS: 'the keyring is locked' };
  const refused = await cli.logIn(BASIC, someone.password, locked);
  assert.equal(refused.exit, 1);
  assert.match(
    refused.stderr,
    /error saving credentials: error storing credentials - err: exit status 1, out: `the keyring is locked`/i,
  );
  assert.equal((await cli.logIn(BASIC)).exit, 0);
  await standin.ledger({ clear: true });
  const pulled = await cli.run(['pull', `${BASIC}/team/app:v`], { env: locked });
  assert.equal(pulled.exit, 1);
  assert.match(pulled.stderr, /no basic auth credentials\n$/);
  for (const { authorization } of (await standin.ledger()).entries) assert.equal(authorization, '');
  await cli.configure({ credsStore: 'missing' });
  const missing = await cli.logIn(BASIC);
  assert.equal(missing.exit, 1);
  assert.match(missing.stderr, /docker-credential-missing.*executable file not found in \$PATH/);
});

registryTest('logins that are refused: the text, the code, and nothing kept', ground(), async (given) => {
  const cli = await cliOf(given, ['kept']);
  await cli.configure({ credsStore: 'kept' });
  const refusals = {
    [BASIC]: `login attempt to http://${BASIC}/v2/ failed with status: 401 Unauthorized`,
    [TOKEN]: `Get "http://${TOKEN}/v2/": unauthorized: incorrect username or password`,
    '127.0.0.1:1': 'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused',
  };
  for (const [host, text] of Object.entries(refusals)) {
    const { exit, stdout, stderr } = await cli.logIn(host, 'wrong');
    assert.deepEqual([exit, stdout, stderr], [1, '', `Error response from daemon: ${text}\n`], host);
  }
  const empty = await cli.run(['login', '-u', 'x', '--password-stdin', BASIC], { input: '' });
  assert.equal(empty.exit, 1);
  assert.deepEqual(await cli.programs.kept('kept'), []);
  const shown = await cli.run(['login', '-u', someone.name, '-p', someone.password, BASIC]);
  assert.equal(shown.exit, 0);
  assert.match(shown.stderr, /WARNING! Using --password via the CLI is insecure/);
  assert.doesNotMatch(await given.daemon.log(), /my secret|wrong/);
});
