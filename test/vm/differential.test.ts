/**
 * Node takes seconds to start in an emulated machine, so this is a choice of each kind: what depends on
 * cgroups and on the kernel, and what is there once only.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import { OURS, place, runBundle, specOf } from '../integration/differential/bundle.ts';
import { CASES } from '../integration/differential/cases.ts';
import { furtherProcesses } from '../integration/differential/exec.ts';
import { failures } from '../integration/differential/failures.ts';
import { differential, PEERS } from '../integration/differential/suite.ts';
import { must } from '../support/command.ts';

const STARTS = new Set([
  ...['default', 'privileged', 'read-only', 'user', 'no new privileges, user', 'memory', 'cpu', 'limits'],
  ...['device', 'tmpfs', 'own cgroup namespace', 'bind recursively read-only', 'user namespace', 'hooks'],
  ...['host namespaces', 'bind to a deep new path', 'bind of a file', 'terminal', 'terminal of a user'],
  'init of the engine',
]);
const FAILURES = [
  ...['exit code', 'missing command', 'not executable', 'cwd is a file', 'user that the mapping has not'],
  ...['device with a bad type', 'unknown file system', 'bad value of a sysctl', 'root is missing'],
  ...['namespace path is missing', 'namespace path of another kind', 'missing apparmor'],
];
const EXECS = {
  seen: ['default', 'user and no new privileges', 'limits', 'terminal of a user'],
  fails: ['exit code', 'killed', 'missing command', 'not executable', 'missing directory'],
};
const SAMPLE = { isSample: true };
const OPTIONS = ['nsdelegate', 'memory_recursiveprot'];

function hostOptions(): string[] {
  const line = /^cgroup2 \/sys\/fs\/cgroup cgroup2 (\S*)/m.exec(readFileSync('/proc/mounts', 'utf8'));
  return (line?.[1] ?? '').split(',').filter((option) => OPTIONS.includes(option));
}

/** As systemd mounts it. */
async function giveOptions(): Promise<void> {
  await must('mount', ['-o', `remount,${OPTIONS.join(',')}`, '/sys/fs/cgroup']);
}

const chosen = CASES.filter(({ name }) => STARTS.has(name));

describe('against runc and crun on cgroup v2', () => {
  // The other files of the run find the machine as the service manager made it.
  after(giveOptions);

  /**
   * Who mounts cgroup v2 anew within the host's cgroup namespace sets the options of the one file system that
   * there is: runc and crun take the service manager's away.
   */
  test("the options of the host's cgroup file system stay, but not with the others", async (t) => {
    const kept = async (runtime: typeof OURS): Promise<boolean> => {
      await giveOptions();
      const at = place(t);
      const { exit, stderr } = await runBundle(at, runtime, { spec: specOf(at, { args: ['/bin/true'] }) });
      assert.equal(exit, 0, stderr);
      return hostOptions().length === OPTIONS.length;
    };
    const found: Record<string, boolean> = { ours: await kept(OURS) };
    for (const { runtime, against } of PEERS) found[against] = await kept(runtime);
    assert.deepEqual(found, { ours: true, runc: false, crun: false });
  });

  assert.equal(chosen.length, STARTS.size, 'a case has another name');
  differential(chosen, PEERS, SAMPLE);
  failures(FAILURES, PEERS, SAMPLE);
  furtherProcesses(EXECS, PEERS, SAMPLE);
});
