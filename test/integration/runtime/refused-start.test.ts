/** Starts that are refused before anything is made: no directory, no cgroup, no shim, no file in the tree. */
import assert from 'node:assert/strict';
import { existsSync, lstatSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { newContainerId } from '#base/ids.ts';
import type { MountInput, SpecInput } from '#runtime/spec-input.ts';
import { StartError } from '#runtime/runc/errors.ts';
import { PLAIN_SECURITY } from '../../support/spec-input.ts';
import { USES_OWN_RUNTIME } from '../../support/runtimes.ts';
import { cannotRun, makeWorld, readAll, type World } from './support.ts';

const HEAD =
  'failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: ';
const HINT =
  ': Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type';
const LOOP = 'too many levels of symbolic links';

const tmpfs = (destination: string): MountInput => ({ type: 'tmpfs', destination, options: [] });

/** The image, what is below the exec root, and the world's cgroups. */
function everything(world: World): string[] {
  const files = readdirSync(world.execRoot, { recursive: true, withFileTypes: true }).map((entry) => {
    const path = join(entry.parentPath, entry.name);
    const { mode, size, mtimeMs, ctimeMs } = lstatSync(path);
    return `${path} ${mode} ${size} ${mtimeMs} ${ctimeMs}`;
  });
  const { cgroups } = world.kernel;
  return [...files.toSorted(), `cgroup ${cgroups.exists(world.parent)}`];
}

const ANOTHER_RUNTIME = USES_OWN_RUNTIME ? false : 'needs our own launcher';

/** What nobody but the plan refuses, and what the refusal says. */
const REFUSED: Readonly<Record<string, { readonly spec: Partial<SpecInput>; readonly says: RegExp }>> = {
  'a target out of the root': {
    spec: { mounts: [tmpfs('/srv/../../etc')] },
    says: /^mounts\[\d+\]\.destination: "\/srv\/\.\.\/\.\.\/etc" leads out of the root$/,
  },
  'an unknown capability': {
    spec: { security: { ...PLAIN_SECURITY, capabilities: { add: ['CAP_NOPE'], drop: [] } } },
    says: /CAP_NOPE/,
  },
  'an unknown system call': {
    spec: {
      security: {
        ...PLAIN_SECURITY,
        seccomp: JSON.stringify({
          defaultAction: 'SCMP_ACT_ALLOW',
          syscalls: [{ names: ['nope'], action: 'SCMP_ACT_LOG' }],
        }),
      },
    },
    says: /^linux\.seccomp\.syscalls\[0\]\.names\[0\]: unknown system call "nope"$/,
  },
  'an unknown limit': {
    spec: { resources: { ulimits: [{ name: 'nope', soft: 1, hard: 1 }] } },
    says: /^process\.rlimits\[0\]\.type: invalid rlimit type: RLIMIT_NOPE$/,
  },
  'a soft limit above the hard one': {
    spec: { resources: { ulimits: [{ name: 'nofile', soft: 2, hard: 1 }] } },
    says: /^process\.rlimits\[0\]\.soft: 2 is more than the hard limit, 1$/,
  },
  'a sysctl of the host': {
    spec: { sysctls: { 'kernel.panic': '1' } },
    says: /^linux\.sysctl\["kernel\.panic"\]: /,
  },
  'too many mounts': {
    spec: { mounts: Array.from({ length: 1100 }, (_, i) => tmpfs(`/srv/m${i}`)) },
    says: /^mounts\[\d+\]: needs more than 1024 open files$/,
  },
  'more texts than a plan can have': {
    spec: { env: Array.from({ length: 70_000 }, (_, i) => `V${i}=`) },
    says: /^process\.env: with it the launch plan has more than \d+ texts$/,
  },
  'an environment larger than a plan': {
    spec: { env: Array.from({ length: 50 }, (_, i) => `V${i}=${'x'.repeat(100_000)}`) },
    says: /^process\.env: with it the launch plan is larger than \d+ bytes$/,
  },
};

describe('a start that is refused', { skip: cannotRun() || ANOTHER_RUNTIME }, () => {
  test('a mount target in a circle, or through a file: by its member, and nothing is made', async (t) => {
    const world = makeWorld(t);
    const tasks = world.service();
    for (const [name, target] of Object.entries({ one: 'two', two: '/tmp/one', past: 'missing/../one' }))
      symlinkSync(target, join(world.rootfs, 'tmp', name));
    const before = everything(world);
    for (const [destination, says] of [
      ['/tmp/one', LOOP],
      ['/tmp/two/x', LOOP],
      ['/tmp/past/x', LOOP],
      ['/etc/passwd/x', `not a directory${HINT}`],
    ] as const) {
      const id = newContainerId();
      const stream = await tasks.attach(id, null, { stdin: false, stdout: true, stderr: true });
      const mounts = [tmpfs('/srv'), tmpfs(destination)];
      await assert.rejects(world.run(tasks, ['true'], { id, spec: { mounts } }), (error) => {
        assert.ok(error instanceof StartError, String(error));
        assert.ok(error.message.startsWith(`${HEAD}mounts[`), error.message);
        const end = `].destination: "${destination}": ${says}`;
        assert.ok(error.message.endsWith(end), error.message);
        return true;
      });
      assert.deepEqual(await readAll(stream), { stdout: '', stderr: '' });
      assert.deepEqual(everything(world), before);
    }
    // What is in another mount is looked for at run time only, and then nothing is left.
    const covered = [tmpfs('/tmp'), tmpfs('/tmp/one/x')];
    const { id } = await world.run(tasks, ['true'], { spec: { mounts: covered } });
    assert.equal((await world.exited(id)).exitCode, 0);
    await tasks.delete(id);
    await tasks.close();
    assert.ok(!existsSync(join(world.rootfs, 'tmp/missing')));
  });

  test('what cannot be carried out: by its member, and nothing is made', async (t) => {
    const world = makeWorld(t);
    const tasks = world.service();
    const before = everything(world);
    for (const [what, { spec, says }] of Object.entries(REFUSED)) {
      await assert.rejects(world.run(tasks, ['true'], { spec }), (error) => {
        assert.match(String((error as Error).message), says, what);
        return true;
      });
      assert.deepEqual(everything(world), before, what);
    }
    await tasks.close();
  });

  test('more published ports than a shim holds: nothing is made', async (t) => {
    const world = makeWorld(t);
    const tasks = world.service();
    const before = everything(world);
    const heldPorts = Array.from({ length: 65_537 }, () => 0);
    await assert.rejects(world.run(tasks, ['true'], { request: { heldPorts } }), {
      kind: 'invalidArgument',
      message: 'failed to create task for container: more than 65536 published ports',
    });
    assert.deepEqual(everything(world), before);
    await tasks.close();
  });
});
