import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { e2e } from '../../support/e2e.ts';

e2e('07: images go into archives and come back', { images: ['busybox', 'web'] }, async (daemon) => {
  const file = (name: string): string => `${daemon.root}/${name}`;
  await daemon.mustDocker(['tag', 'gantry/web', 'app:v3']);
  await daemon.mustDocker(['rmi', 'gantry/web']);
  const id = await daemon.mustDocker(['images', '-q', '--no-trunc', 'app:v3']);
  const history = await daemon.mustDocker(['history', '--no-trunc', 'app:v3']);
  await daemon.mustDocker(['save', '-o', file('a.tar'), id]);
  await daemon.mustDocker(['save', '-o', file('b.tar'), 'app:v3']);
  await daemon.mustDocker(['rmi', 'app:v3']);
  assert.match(await daemon.mustDocker(['load', '-i', file('a.tar')]), new RegExp(`Loaded image ID: ${id}`));
  assert.match(await daemon.mustDocker(['images', '--no-trunc']), new RegExp(`<none> +<none> +${id}`));
  await daemon.mustDocker(['tag', id, 'x:test']);
  assert.match(await daemon.mustDocker(['load', '-i', file('b.tar')]), /Loaded image: app:v3/);
  assert.equal(await daemon.mustDocker(['history', '--no-trunc', 'app:v3']), history);

  const made = await daemon.mustDocker(['create', '--name', 'app', 'app:v3']);
  assert.match(made, /^[0-9a-f]{64}$/);
  await daemon.mustDocker(['export', 'app', '-o', file('c.tar')]);
  const flat = await daemon.mustDocker(['import', file('c.tar'), 'flat:1']);
  assert.match(flat, /^sha256:[0-9a-f]{64}$/);
  const rows = (await daemon.mustDocker(['history', '-q', 'flat:1'])).split('\n');
  assert.equal(rows.length, 1);
  const [exported, saved] = [await stat(file('c.tar')), await stat(file('b.tar'))];
  assert.ok(exported.size < saved.size, `${exported.size} is not below ${saved.size}`);
  assert.equal(
    await daemon.mustDocker(['run', '--rm', 'flat:1', 'cat', '/www/index.html']),
    '<h1>hello from gantry/web</h1>',
  );
});
