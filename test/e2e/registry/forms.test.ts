import assert from 'node:assert/strict';
import { FORM_NAMES, type FormName, formOf, referenceOf } from '../../support/registry/forms.ts';
import {
  assertCredentialsStay,
  pull,
  push,
  registryAuth,
  type RegistryTest,
  registryTest,
  smallLayers,
} from '../../support/registry/fixture.ts';

const TAGS = ['a', 'b', 'c', 'v'] as const;

function imagesOf(name: FormName) {
  const form = formOf(name);
  return [form.open, form.closed]
    .filter((repository) => repository !== '')
    .map((repository) => ({ repository, tags: TAGS, layers: smallLayers(repository) }));
}

function secretsOf(name: FormName): string[] {
  const { user } = formOf(name);
  return user === null ? [] : [user.password, 'acr-identity'];
}

async function login({ daemon }: RegistryTest, name: FormName): Promise<void> {
  const { user, loginServer } = formOf(name);
  if (user === null) return;
  const result = await daemon.docker(['login', '--username', user.name, '--password-stdin', loginServer], {
    input: user.password,
  });
  assert.equal(result.exit, 0, result.stderr);
  assert.match(result.stdout, /Login Succeeded/);
}

/** Pulls with the real CLI, and the image must be the one that lies there. */
async function pullsRight(given: RegistryTest, name: FormName, repository: string): Promise<void> {
  const { daemon, standin } = given;
  const reference = referenceOf(formOf(name), repository, 'v');
  const built = standin.images.find((image) => image.repository === repository);
  const said = await daemon.mustDocker(['pull', reference]);
  assert.match(said, new RegExp(`Digest: ${built?.digest}`));
  assert.match(
    said,
    new RegExp(`Status: Downloaded newer image for ${reference.replaceAll(/[$.]/g, '\\$&')}`),
  );
  const id = await daemon.mustDocker(['image', 'inspect', '--format', '{{.Id}}', reference]);
  assert.equal(id, built?.id);
  const again = await daemon.mustDocker(['pull', reference]);
  assert.match(again, /Image is up to date/);
}

/** Another image under a new tag goes there, and comes back. */
async function pushesRight(given: RegistryTest, name: FormName, repository: string): Promise<void> {
  const { daemon } = given;
  const form = formOf(name);
  const old = referenceOf(form, repository, 'v');
  const target = referenceOf(form, `${repository}-pushed`, 'w');
  await daemon.mustDocker(['tag', old, target]);
  const first = await daemon.mustDocker(['push', target]);
  assert.match(first, /w: digest: sha256:[0-9a-f]{64} size: \d+/);
  const second = await daemon.mustDocker(['push', target]);
  assert.match(second, /Layer already exists/);
  const id = await daemon.mustDocker(['image', 'inspect', '--format', '{{.Id}}', target]);
  await daemon.mustDocker(['rmi', '--force', id]);
  await daemon.mustDocker(['pull', '--quiet', target]);
  assert.equal(await daemon.mustDocker(['image', 'inspect', '--format', '{{.Id}}', target]), id);
}

for (const name of FORM_NAMES.filter((form) => form !== 'mirror')) {
  registryTest(`registry of the form ${name}`, { form: name, images: imagesOf(name) }, async (given) => {
    const form = formOf(name);
    if (form.open !== '') await pullsRight(given, name, form.open);
    if (form.closed !== '') {
      const refused = await given.daemon.docker(['pull', referenceOf(form, form.closed, 'v')]);
      assert.equal(refused.exit, 1, 'a closed repository needs a user');
      await login(given, name);
      await pullsRight(given, name, form.closed);
    }
    await pushesRight(given, name, form.closed === '' ? form.open : form.closed);
    const all = await given.daemon.mustDocker([
      ...['pull', '--all-tags', referenceOf(form, form.closed || form.open, 'v').replace(/:v$/, '')],
    ]);
    for (const tag of TAGS) assert.match(all, new RegExp(`^${tag}: Pulling from`, 'm'));
    const { exit } = await given.daemon.docker(['logout', form.loginServer]);
    assert.equal(exit, 0);
    assertCredentialsStay(await given.standin.ledger(), { secrets: secretsOf(name), hosts: form.trusted });
  });
}

registryTest(
  'search at Docker Hub asks its index, and nobody else',
  { form: 'hub', images: imagesOf('hub') },
  async (given) => {
    const { daemon, standin } = given;
    const columns = ['--format', '{{.Name}}|{{.StarCount}}|{{.IsOfficial}}'];
    const found = await daemon.mustDocker(['search', ...columns, 'e']);
    assert.deepEqual(found.split('\n').toSorted(), ['open|12|[OK]', 'someone/closed|14|']);
    const official = ['search', ...columns, '--filter', 'is-official=true', '--limit', '7', 'library/ope'];
    assert.equal(await daemon.mustDocker(official), 'open|12|[OK]');
    assert.equal(await daemon.mustDocker(['search', ...columns, 'docker.io/closed']), 'someone/closed|14|');
    const asked = (await standin.ledger({ clear: true })).entries;
    const requests = asked.map(({ host, method, url, authorization }) => [host, method, url, authorization]);
    const at = ['index.docker.io', 'GET'];
    assert.deepEqual(requests, [
      [...at, '/v1/search?q=e&n=25', ''],
      [...at, '/v1/search?q=ope&n=7', ''],
      [...at, '/v1/search?q=closed&n=25', ''],
    ]);
    await login(given, 'hub');
    await standin.ledger({ clear: true });
    await daemon.mustDocker(['search', 'open']);
    const ledger = await standin.ledger();
    for (const { authorization } of ledger.entries) assert.match(authorization, /^Basic /);
    assert.equal(ledger.entries.length, 1);
    assertCredentialsStay(ledger, { secrets: secretsOf('hub'), hosts: ['index.docker.io'] });
    await standin.setFaults([{ host: 'index.docker.io', act: { kind: 'status', status: 503 } }]);
    const away = await daemon.docker(['search', 'open']);
    assert.equal(away.stderr, 'Error response from daemon: Unexpected status code 503\n');
  },
);

registryTest(
  'a mirror serves for a registry that is away',
  { form: 'mirror', images: imagesOf('mirror') },
  async (given) => {
    await pullsRight(given, 'mirror', 'team/app');
    const { entries } = await given.standin.ledger();
    assert.ok(entries.length > 0);
    for (const { authorization, url } of entries) {
      assert.equal(authorization, '');
      if (url !== '/v2/') assert.match(url, /[?&]ns=origin\.example\b/);
    }
  },
);

registryTest(
  'a mirror never sees credentials',
  { form: 'mirror', images: imagesOf('mirror') },
  async (given) => {
    const { daemon, standin } = given;
    const auth = { username: 'me', password: 'origin-secret', serveraddress: 'origin.example' };
    const { error } = await pull(daemon, 'origin.example/team/app:v', { headers: registryAuth(auth) });
    assert.equal(error, '');
    assertCredentialsStay(await standin.ledger(), { secrets: ['origin-secret'], hosts: [] });
  },
);

registryTest(
  'an identity token and a token of its own are taken',
  { form: 'acr', images: imagesOf('acr') },
  async (given) => {
    const { daemon, standin } = given;
    const reference = 'team.azurecr.io/app/closed:v';
    const identity = { identitytoken: 'acr-identity', serveraddress: 'team.azurecr.io' };
    assert.equal((await pull(daemon, reference, { headers: registryAuth(identity) })).error, '');
    assert.ok((await standin.ledger()).entries.some(({ form }) => form.includes('grant_type=refresh_token')));
    const { tokens } = await standin.ledger();
    const issued = tokens.find(({ scopes }) => scopes.includes('app/closed:pull'));
    await daemon.mustDocker(['rmi', reference]);
    const own = { registrytoken: issued?.token ?? '', serveraddress: 'team.azurecr.io' };
    assert.equal((await pull(daemon, reference, { headers: registryAuth(own) })).error, '');
  },
);

registryTest(
  'credentials for one registry are not told to another',
  { form: 'ecr', images: imagesOf('ecr') },
  async (given) => {
    const { daemon, standin } = given;
    const wrong = { username: 'AWS', password: 'of-another', serveraddress: 'elsewhere.example' };
    const host = formOf('ecr').domain;
    const answer = await pull(daemon, `${host}/team/app:v`, { headers: registryAuth(wrong) });
    assert.notEqual(answer.error, '');
    assertCredentialsStay(await standin.ledger(), { secrets: ['of-another'], hosts: [] });
    const { user } = formOf('ecr');
    const right = { username: user?.name ?? '', password: user?.password ?? '', serveraddress: host };
    assert.equal((await pull(daemon, `${host}/team/app:v`, { headers: registryAuth(right) })).error, '');
    await daemon.mustDocker(['tag', `${host}/team/app:v`, `${host}/team/other:v`]);
    await standin.ledger({ clear: true });
    const pushed = await push(daemon, `${host}/team/other:v`, { headers: registryAuth(wrong) });
    assert.match(pushed.error, /no basic auth credentials/);
    const ledger = await standin.ledger();
    const asked = ledger.entries.filter((entry) => entry.host === host && entry.url.includes('/team/other/'));
    assert.ok(asked.length > 0, 'the push asked the registry');
    for (const { authorization, status } of asked) assert.deepEqual([authorization, status], ['', 401]);
    assertCredentialsStay(ledger, { secrets: ['of-another'], hosts: [] });
  },
);
