/** Files with encoded plans that a decoder has to read, for what mutates them. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildLaunchPlan, encodeLaunchPlan } from '#runtime/launch-plan.ts';
import type { RuntimeSpec } from '#oci/runtime-spec.ts';
import { type LaunchPlan, type Operation, SYNC } from '../../../src/runtime/launch-plan/operations.ts';
import { smallPlan } from './launch-command.ts';
import { CLONE } from './sandbox.ts';

const MANY = 300;
const RECORDED = join(import.meta.dirname, '../../reference/oci-config-goldens.json');

/** Plans of all recorded specs, as for a host with cgroup v2. */
function compiled(): LaunchPlan[] {
  const recorded = JSON.parse(readFileSync(RECORDED, 'utf8')) as Record<string, { config?: RuntimeSpec }>;
  const program = Buffer.alloc(8 * MANY, 6);
  const mountPoint = '/sys/fs/cgroup';
  return Object.values(recorded).flatMap(({ config }) =>
    config === undefined
      ? []
      : buildLaunchPlan(config, {
          id: '0'.repeat(64),
          cgroups: {
            version: 'v2',
            hierarchies: [{ version: 2, mountPoint, controllers: ['cpu', 'memory', 'pids'] }],
          },
          apparmor: true,
          selinux: false,
          root: { slot: true, at: '/run/task/rootfs' },
          netnsGiven: true,
          bundle: '/run/task',
          devices: { program },
          seccomp: { flags: 4, program },
          oomScoreAdj: 0,
        }),
  );
}

function handwritten(): LaunchPlan[] {
  const root = '/root';
  const command = ['/bin/sh', '-c', 'true'];
  const hook: Operation = {
    op: 'hook',
    path: '/bin/hook',
    arguments: ['hook', 'x'],
    environment: ['A=b'],
    timeoutMs: 1000,
    beforePid: Buffer.from('{"pid":'),
    afterPid: Buffer.from('}'),
  };
  const map = Buffer.from('0 100000 65536\n');
  const withUsers = smallPlan({
    root,
    command,
    flags: CLONE.user | CLONE.mount,
    parent: [
      { op: 'writeChildFile', name: 'uid_map', value: map },
      { op: 'tell', point: SYNC.mapsWritten },
      hook,
    ],
    early: [{ op: 'wait', point: SYNC.mapsWritten }],
    child: [
      { op: 'seccomp', flags: 0, program: Buffer.alloc(8 * MANY, 6) },
      { op: 'groups', gids: Buffer.alloc(4 * MANY) },
    ],
  });
  const words = Array.from({ length: MANY }, (_, i) => 'w'.repeat(i % 64));
  return [smallPlan({ root, command }), withUsers, smallPlan({ root, command: words })];
}

/** Paths of the files, below `directory`. */
export function realPlans(directory: string): string[] {
  return [...handwritten(), ...compiled()].map((plan, i) => {
    const path = join(directory, `plan-${i}`);
    writeFileSync(path, encodeLaunchPlan(plan));
    return path;
  });
}
