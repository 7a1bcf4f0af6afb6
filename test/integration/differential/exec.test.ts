/** A further process in a running container: what it sees, and what cannot be started; against runc. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { SpecProcess } from '#oci/runtime-spec.ts';
import { type CommandResult, must } from '../../support/command.ts';
import { OURS, type Place, place, RUNC, type Runtime, runtimeCommand, specOf } from './bundle.ts';
import { Known } from './differences.ts';
import { compare, errorMessage, sectionsOf } from './normalize.ts';

const ID = 'differential-exec';

/** Starts a sleeping container with streams that nobody waits for. */
async function sleeping(at: Place, runtime: Runtime): Promise<void> {
  const bundle = join(at.folder, 'bundle');
  mkdirSync(bundle);
  const spec = specOf(at, { args: ['/bin/sleep', '300'] });
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec));
  const detached = 'exec "$@" </dev/null >/dev/null 2>/dev/null';
  const words = ['--root', join(at.folder, `state-${runtime.name}`), 'run', '-d', '--bundle', bundle, ID];
  await must('sh', ['-c', detached, 'sh', ...runtime.argv, ...words]);
}

async function execIn(at: Place, runtime: Runtime, process: SpecProcess): Promise<CommandResult> {
  const path = join(at.folder, `process-${Math.random().toString(36).slice(2)}.json`);
  writeFileSync(path, JSON.stringify(process));
  return await runtimeCommand(at, runtime, ['exec', '--process', path, ID]);
}

type Change = (process: SpecProcess) => Partial<SpecProcess>;

const SEEN: Readonly<Record<string, Change>> = {
  default: () => ({}),
  user: () => ({ user: { uid: 1000, gid: 5, additionalGids: [5, 7] } }),
  'user and no new privileges': () => ({ user: { uid: 1000, gid: 1000 }, noNewPrivileges: true }),
  'no capabilities': () => ({ capabilities: {} }),
  directory: () => ({ cwd: '/tmp' }),
  environment: () => ({ env: ['PATH=/bin', 'HOME=/elsewhere', 'X=1'] }),
  limits: () => ({ rlimits: [{ type: 'RLIMIT_NOFILE', soft: 100, hard: 200 }] }),
  score: () => ({ oomScoreAdj: 77 }),
};

const FAILS: Readonly<Record<string, Change>> = {
  'exit code': () => ({ args: ['/bin/sh', '-c', 'exit 42'] }),
  killed: () => ({ args: ['/bin/sh', '-c', 'kill -9 $$'] }),
  'missing command': () => ({ args: ['nope'] }),
  'missing path': () => ({ args: ['/no/such'] }),
  'not executable': () => ({ args: ['/plain'] }),
  'a directory': () => ({ args: ['/etc'] }),
  'missing directory': () => ({ cwd: '/not/there' }),
  'relative directory': () => ({ cwd: 'tmp' }),
  'directory of the host': () => ({ cwd: '/proc/self/fd/7' }),
};

describe('a further process', () => {
  const places = new Map<Runtime, Place>();
  const ends: (() => unknown)[] = [];
  const known = new Known('exec', 'runc');
  before(async () => {
    const context = { after: (end?: unknown) => typeof end === 'function' && ends.push(() => end()) };
    for (const runtime of [OURS, RUNC]) {
      const at = place(context);
      places.set(runtime, at);
      writeFileSync(join(at.rootfs, 'plain'), 'text\n');
      chmodSync(join(at.rootfs, 'plain'), 0o644);
      await sleeping(at, runtime);
    }
  });
  after(async () => {
    for (const [runtime, at] of places) await runtimeCommand(at, runtime, ['delete', '--force', ID]);
    for (const end of ends) await end();
    assert.deepEqual(known.gone(), [], 'differences that are not there any more');
  });

  async function both(change: Change): Promise<[CommandResult, CommandResult, Place, Place]> {
    const [ours, theirs] = await Promise.all(
      [...places].map(([runtime, at]) => {
        const { process } = specOf(at);
        assert.ok(process);
        return execIn(at, runtime, { ...process, ...change(process) });
      }),
    );
    const [here, there] = [...places.values()];
    assert.ok(ours && theirs && here && there);
    return [ours, theirs, here, there];
  }

  for (const [name, change] of Object.entries(SEEN)) {
    test(`sees the same: ${name}`, async () => {
      const [ours, theirs, here, there] = await both(change);
      assert.equal(ours.exit, theirs.exit, `${ours.stderr}\n--- ${theirs.stderr}`);
      assert.ok(ours.stdout.includes('## session'), ours.stderr);
      const found = compare(sectionsOf(ours.stdout, here), sectionsOf(theirs.stdout, there));
      assert.deepEqual(
        found.flatMap((one) => known.unexplained(one)),
        [],
      );
    });
  }

  for (const [name, change] of Object.entries(FAILS)) {
    test(`ends the same: ${name}`, async () => {
      const [ours, theirs, here, there] = await both(change);
      const mine = `${ours.exit} ${errorMessage(ours.stderr, here)}`;
      const other = `${theirs.exit} ${errorMessage(theirs.stderr, there)}`;
      if (mine !== other && !known.explains(mine, other)) assert.equal(mine, other);
    });
  }
});
