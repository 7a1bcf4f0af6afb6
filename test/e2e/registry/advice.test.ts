import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tarOf } from '../../../tools/set-up/tar.ts';
import { run } from '../../support/command.ts';
import { registryTest, smallLayers } from '../../support/registry/fixture.ts';
import { OPEN_REGISTRY } from '../../support/registry/plan.ts';
import { OUTSIDE } from '../../support/registry/standin.ts';

/*
 * Docker's clients get the reference's text and nothing else; the gantry command line and the daemon's log
 * say what to do as well.
 */

const GANTRY = join(import.meta.dirname, '../../../bin/gantry');
const PLAIN = `${OUTSIDE}:5000`;

interface Advice {
  readonly args: (folder: string) => readonly string[];
  readonly text: RegExp;
  readonly advice: string;
}

const ADVICE: readonly Advice[] = [
  {
    args: () => ['pull', `${PLAIN}/team/x:v`],
    text: /^Error response from daemon: Get "https:\/\/[^"]+": http: server gave HTTP response to HTTPS client$/,
    advice: 'If this registry has no TLS, name it in insecure-registries.',
  },
  {
    args: () => ['pull', 'nowhere.example/team/x:v'],
    text: /^Error response from daemon: Get "https:\/\/nowhere\.example\/v2\/": dial tcp: lookup nowhere\.example[^\n]*$/,
    advice: 'Check the name, and the resolver of this host.',
  },
  {
    args: () => ['pull', '127.0.0.1:1/team/x:v'],
    text: /^Error response from daemon: Get "http:\/\/127\.0\.0\.1:1\/v2\/": dial tcp 127\.0\.0\.1:1: connect: connection refused$/,
    advice: 'Nobody listens there: check the name and the port, and whether the registry runs.',
  },
  {
    args: (folder) => ['load', '-i', `${folder}/root.tar`],
    text: /manifest\.json: no such file or directory$/,
    advice:
      'It is neither an archive of "docker save" nor an OCI image layout; a root file system is for "import".',
  },
];

registryTest(
  'what to do is said by gantry and by the log, and docker is told what it knows',
  {
    hosts: { [PLAIN]: [OPEN_REGISTRY] },
    tls: 'none',
    images: [{ repository: 'team/x', tags: ['v'], layers: smallLayers('x') }],
  },
  async ({ daemon }) => {
    await writeFile(`${daemon.root}/root.tar`, tarOf([{ path: 'etc/', type: 'directory' }]));
    const env = { ...daemon.clientEnv(), GANTRY_HOST: daemon.host };
    for (const { args, text, advice } of ADVICE) {
      const command = args(daemon.root);
      const docker = await daemon.docker([...command]);
      assert.match(docker.stderr.trimEnd(), text);
      assert.equal(docker.exit, 1);
      const gantry = await run(GANTRY, [...command], { env });
      const [first = '', second, ...more] = gantry.stderr.trimEnd().split('\n');
      assert.match(
        first.replace(/^(?!Error response)/, 'Error response from daemon: '),
        text,
        command.join(' '),
      );
      assert.deepEqual([gantry.exit, second, more], [1, advice, []], command.join(' '));
      assert.ok((await daemon.log()).includes(JSON.stringify(advice)), `the log: ${advice}`);
    }
  },
);
