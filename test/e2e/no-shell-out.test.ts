import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { must, until } from '../support/command.ts';
import { startDaemon, type TestDaemon } from '../support/daemon.ts';
import { imageArchive } from '../support/images.ts';
import { startRegistry } from '../support/registry/real.ts';
import { USES_OWN_RUNTIME } from '../support/runtimes.ts';

const GANTRYD = join(import.meta.dirname, '../../bin/gantryd');
/**
 * What the start script needs, and the OCI runtime where one is meant; `ip`, `nft`, `mount`, `tar` and all
 * others are absent.
 */
const OCI_RUNTIME = USES_OWN_RUNTIME ? [] : ['runc', 'exe'];
const ON_PATH = ['sh', ...OCI_RUNTIME.slice(0, 1), 'readlink', 'dirname', 'uname'];
const EXPECTED = [
  'gantryd',
  'node',
  'gantry-shim',
  ...OCI_RUNTIME,
  'true',
  'env',
  'sh',
  'readlink',
  'dirname',
  'uname',
];

/**
 * Programs that the trace saw start, by their last path component; sealed copies are executed by a
 * descriptor, and called by the name that they were given.
 */
function startedPrograms(trace: string): Set<string> {
  const calls = trace.matchAll(/execve(?:at)?\((?:\d+, )?"([^"]*)", \["([^"]*)".* = 0$/gm);
  const names = [...calls].map(([, path = '', given = '']) => {
    const name = basename(path);
    return /^\d*$/.test(name) ? basename(given) : name;
  });
  return new Set(names);
}

interface Verb {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly raw?: Buffer;
}

async function succeeds(daemon: TestDaemon, verb: Verb): Promise<Buffer> {
  const { status, body } = await daemon.api(verb.path, { timeoutMs: 60_000, ...verb });
  const said = body.length < 20_000 ? body.toString() : '';
  assert.ok(status >= 200 && status < 300 && !said.includes('"error"'), `${verb.path}: ${status} ${said}`);
  return body;
}

async function runsContainer(daemon: TestDaemon): Promise<void> {
  const body = {
    Image: 'busybox',
    Cmd: ['true'],
    HostConfig: { PortBindings: { '80/tcp': [{ HostPort: '' }] } },
  };
  const created = await daemon.api('/containers/create?name=traced', { method: 'POST', body });
  assert.equal(created.status, 201, created.body.toString());
  const started = await daemon.api('/containers/traced/start', { method: 'POST' });
  assert.equal(started.status, 204, started.body.toString());
  const ended = await daemon.api('/containers/traced/wait', { method: 'POST' });
  assert.deepEqual((ended.json as { StatusCode: number }).StatusCode, 0);
}

/** Commit, export, import, save, load, push, pull: nothing of them is a program's work. */
async function movesImages(daemon: TestDaemon): Promise<void> {
  const enter = ['nsenter', `--net=/run/netns/${daemon.network}`, '--'];
  await using registry = await startRegistry({ kind: 'gantry', address: '127.0.0.1:5000', enter });
  const name = `${registry.address}/team/kept`;
  const reference = `${name}:v`;
  const headers = { 'x-registry-auth': 'e30=' };
  await succeeds(daemon, { method: 'POST', path: `/commit?container=traced&repo=${name}&tag=v` });
  const tree = await succeeds(daemon, { method: 'GET', path: '/containers/traced/export' });
  assert.ok(tree.length > 1e6, 'the whole tree');
  await succeeds(daemon, {
    ...{ method: 'POST', path: '/images/create?fromSrc=-&repo=imported', raw: tree },
    headers: { 'content-type': 'application/x-tar' },
  });
  const saved = await succeeds(daemon, { method: 'GET', path: `/images/${reference}/get` });
  await succeeds(daemon, { method: 'POST', path: `/images/${name}/push?tag=v`, headers });
  const removal = { method: 'DELETE', path: `/images/${reference}` } as const;
  await succeeds(daemon, removal);
  const pulled = {
    method: 'POST',
    path: `/images/create?fromImage=${encodeURIComponent(name)}&tag=v`,
  } as const;
  assert.match((await succeeds(daemon, pulled)).toString(), /Status: Downloaded newer image/);
  await succeeds(daemon, removal);
  await succeeds(daemon, { method: 'POST', path: '/images/load?quiet=1', raw: saved });
  await succeeds(daemon, { method: 'GET', path: `/images/${reference}/json` });
}

test('containers start the shim and at most an OCI runtime, images nothing at all', {
  timeout: 120_000,
}, async () => {
  const folder = await mkdtemp('/tmp/gantry-path-');
  try {
    const path = join(folder, 'bin');
    await mkdir(path);
    for (const name of ON_PATH) {
      await symlink((await must('sh', ['-c', `command -v ${name}`])).trim(), join(path, name));
    }
    const trace = join(folder, 'trace');
    const executable = join(folder, 'gantryd-traced');
    const strace = (await must('sh', ['-c', 'command -v strace'])).trim();
    const command = `${strace} -D -f -qq -e trace=execve,execveat -o ${trace} ${GANTRYD}`;
    await writeFile(executable, `#!/bin/sh\nexport PATH=${path}\nexec ${command} "$@"\n`);
    await chmod(executable, 0o755);
    {
      await using daemon = await startDaemon({ executable });
      await daemon.loadImage(await imageArchive('busybox'));
      await runsContainer(daemon);
      await movesImages(daemon);
    }
    const programs = await until(
      async () => {
        const found = startedPrograms(await readFile(trace, 'utf8'));
        return found.has('true') ? found : undefined;
      },
      { what: 'the container in the trace' },
    );
    for (const name of ['gantry-shim', ...OCI_RUNTIME.slice(0, 1), 'true'])
      assert.ok(programs.has(name), `${name} was not seen`);
    assert.deepEqual(
      [...programs].filter((name) => !EXPECTED.includes(name)),
      [],
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});
