import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { registryAuth } from './docker-config.ts';

async function inFolder(config: unknown, body: (ask: Asker, folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-logins-'));
  const text = typeof config === 'string' ? config : JSON.stringify(config);
  await writeFile(join(folder, 'config.json'), text);
  const complaints: string[] = [];
  const environment = { DOCKER_CONFIG: folder, PATH: `${folder}:${process.env['PATH'] ?? ''}` };
  const ask: Asker = async (domain) => {
    const header = await registryAuth(domain, { environment, complain: (text) => complaints.push(text) });
    const login: unknown =
      header === undefined ? undefined : JSON.parse(Buffer.from(header, 'base64url').toString());
    return { login, complaints };
  };
  try {
    await body(ask, folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

type Asker = (domain: string) => Promise<{ login: unknown; complaints: readonly string[] }>;

const auth = (text: string): { auth: string } => ({ auth: Buffer.from(text).toString('base64') });

test('logins that stand in the file, of the hub and of others', async () => {
  const auths = {
    'https://index.docker.io/v1/': auth('me:s:e'),
    'https://old.example/v1/': auth('o:p'),
    'a.example:5000': { auth: '', identitytoken: 'T' },
    'empty.example': {},
  };
  await inFolder({ auths }, async (ask) => {
    const hub = { username: 'me', password: 's:e', serveraddress: 'https://index.docker.io/v1/' };
    assert.deepEqual((await ask('docker.io')).login, hub);
    const old = { username: 'o', password: 'p', serveraddress: 'old.example' };
    assert.deepEqual((await ask('old.example')).login, old);
    const token = { username: '', password: '', identitytoken: 'T', serveraddress: 'a.example:5000' };
    assert.deepEqual((await ask('a.example:5000')).login, token);
    for (const none of ['empty.example', 'other.example', 'constructor'])
      assert.deepEqual(await ask(none), { login: undefined, complaints: [] });
  });
});

test('logins that a credential helper keeps; one that is not there is told of', async () => {
  const config = { credsStore: 'kept', credHelpers: { 'b.example': 'missing' } };
  await inFolder(config, async (ask, folder) => {
    const keeper = join(folder, 'docker-credential-kept');
    const script = [
      'read -r key',
      'case $key in',
      `a.example) echo '{"ServerURL":"a.example","Username":"u","Secret":"p"}';;`,
      `t.example) echo '{"ServerURL":"t.example","Username":"<token>","Secret":"T"}';;`,
      '*) echo "credentials not found in native keychain"; exit 1;;',
      'esac',
    ];
    await writeFile(keeper, `#!/bin/sh\n${script.join('\n')}\n`);
    await chmod(keeper, 0o755);
    const known = { username: 'u', password: 'p', serveraddress: 'a.example' };
    assert.deepEqual((await ask('a.example')).login, known);
    assert.deepEqual((await ask('t.example')).login, { identitytoken: 'T', serveraddress: 't.example' });
    assert.deepEqual(await ask('c.example'), { login: undefined, complaints: [] });
    const { login, complaints } = await ask('b.example');
    assert.equal(login, undefined);
    assert.match(complaints.join(''), /^WARNING: docker-credential-missing: .*ENOENT\n$/);
  });
});

test('a broken file is told of', async () => {
  await inFolder('{', async (ask) => {
    const { login, complaints } = await ask('a.example');
    assert.equal(login, undefined);
    assert.match(complaints.join(''), /^WARNING: Error loading config file: .+\n$/);
  });
});

test('a helper is a name, not a path; what cannot be read is told without its content', async () => {
  for (const credsStore of ['x/../evil', '../evil', 'x\u0000y', 'n'.repeat(5000)])
    await inFolder({ credsStore }, async (ask) => {
      const { login, complaints } = await ask('a.example');
      assert.equal(login, undefined);
      assert.match(
        complaints.join(''),
        /^WARNING: "docker-credential-[^\n]* cannot be the name of a credential helper\n$/,
      );
    });
  await inFolder({ credsStore: 'broken' }, async (ask, folder) => {
    const keeper = join(folder, 'docker-credential-broken');
    await writeFile(keeper, `#!/bin/sh\necho '{"Username":"u","Secret":hunter2secret}'\n`);
    await chmod(keeper, 0o755);
    const { login, complaints } = await ask('a.example');
    assert.deepEqual(
      [login, complaints],
      [undefined, ["WARNING: the credential helper's answer is not valid JSON\n"]],
    );
  });
  await inFolder('{"auths":{"a.example":{"auth":c2VjcmV0', async (ask) => {
    const { login, complaints } = await ask('a.example');
    assert.equal(login, undefined);
    assert.match(complaints.join(''), /config\.json: it is not valid JSON\n$/);
  });
});
