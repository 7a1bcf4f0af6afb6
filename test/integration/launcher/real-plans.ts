/** Files with encoded plans that a decoder has to read, for what mutates them. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeLaunchPlan } from '../../../src/runtime/launch-plan/encode.ts';
import { type LaunchPlan, type Operation, SYNC } from '../../../src/runtime/launch-plan/operations.ts';
import { CLONE, smallPlan } from './launch-command.ts';

const MANY = 300;

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
  return handwritten().map((plan, i) => {
    const path = join(directory, `plan-${i}`);
    writeFileSync(path, encodeLaunchPlan(plan));
    return path;
  });
}
