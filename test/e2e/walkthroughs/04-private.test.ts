import assert from 'node:assert/strict';
import { e2e } from '../../support/e2e.ts';
import { PASSWORDS, registryIsMissing, startRegistry } from '../../support/registry/real.ts';

for (const kind of ['gantry', 'docker-registry'] as const) {
  e2e(`04: a registry with passwords (${kind})`, { skip: registryIsMissing(kind) }, async (daemon) => {
    const R = '127.0.0.1:5000';
    const enter = ['nsenter', `--net=/run/netns/${daemon.network}`, '--'];
    await using registry = await startRegistry({ kind, address: R, enter, passwords: PASSWORDS });
    const target = `${registry.address}/user/web:test`;
    await daemon.mustDocker(['tag', 'busybox', target]);
    const refused = await daemon.docker(['push', target]);
    assert.equal(refused.exit, 1);
    assert.match(refused.stderr, /no basic auth credentials/);
    const wrong = await daemon.docker(['login', '-u', 'u', '--password-stdin', R], { input: 'wrong' });
    assert.equal(wrong.exit, 1);
    assert.match(wrong.stderr, /login attempt to http:\/\/127\.0\.0\.1:5000\/v2\/ failed with status: 401/);
    const login = await daemon.docker(['login', '-u', 'u', '--password-stdin', R], { input: 'secret' });
    assert.match(login.stdout, /Login Succeeded/, login.stderr);
    const pushed = await daemon.mustDocker(['push', target]);
    const digest = /test: digest: (sha256:[0-9a-f]{64}) size: \d+/.exec(pushed)?.[1];
    assert.notEqual(digest, undefined, pushed);
    const id = await daemon.mustDocker(['image', 'inspect', '--format', '{{.Id}}', target]);
    await daemon.mustDocker(['rmi', '-f', id]);
    const pulled = await daemon.mustDocker(['pull', target]);
    assert.match(pulled, new RegExp(`Digest: ${digest}`));
    assert.equal(await daemon.mustDocker(['image', 'inspect', '--format', '{{.Id}}', target]), id);
    const named = await daemon.mustDocker(['image', 'inspect', '--format', '{{json .RepoDigests}}', target]);
    assert.equal(named, JSON.stringify([`${R}/user/web@${digest}`]));
    assert.equal(await daemon.mustDocker(['run', '--rm', target, 'echo', 'it runs']), 'it runs');
    assert.match(await daemon.mustDocker(['logout', R]), /Removing login credentials/);
    const manifest = `Head "http://${R}/v2/user/web/manifests/test"`;
    const after = await daemon.docker(['pull', target]);
    assert.deepEqual(
      [after.exit, after.stderr],
      [1, `Error response from daemon: ${manifest}: no basic auth credentials\n`],
    );
  });
}
