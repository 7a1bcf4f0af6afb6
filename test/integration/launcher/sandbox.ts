/** A busybox root, and plans around single operations that run in it by `gantry-shim launch`. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { encodeLaunchPlan } from '../../../src/runtime/launch-plan/encode.ts';
import { PROPAGATION } from '../../../src/runtime/launch-plan/kernel-numbers.ts';
import { NO_SLOT, type Operation, SLOT } from '../../../src/runtime/launch-plan/operations.ts';
import { SHIM_BINARY } from '../shim/shim-harness.ts';

export const errno: Readonly<Record<string, number>> = constants.errno;
export const ROOT = SLOT.rootfs;
export const O_PATH = 0o10000000;
export const S_IFCHR = 0o020000;
export const ATTR = { readonly: 1, noSuid: 2, noDev: 4, noExec: 8 } as const;
export const CLONE = {
  mount: 0x20000,
  uts: 0x4000000,
  ipc: 0x8000000,
  user: 0x10000000,
  pid: 0x20000000,
  network: 0x40000000,
} as const;

export interface Failure {
  readonly list: string;
  readonly operation: string;
  readonly errno: number;
  readonly step: string;
  readonly object: string;
}

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly failure: Failure | undefined;
}

export interface Trial {
  readonly before?: readonly Operation[];
  /** In the child, at its very beginning. */
  readonly first?: readonly Operation[];
  /** In the child, in the new root's namespaces, before and after its root is the root. */
  readonly outside?: readonly Operation[];
  readonly inside?: readonly Operation[];
  /** Default: pivot. */
  readonly enter?: readonly Operation[];
  readonly script?: string;
  /** In the place of the shell with `script`. */
  readonly last?: readonly Operation[];
  readonly flags?: number;
  readonly parent?: readonly Operation[];
}

/** Slots of operations under test. */
export const PROC = 20;
export const DEV = 21;
export const SPARE = 22;
export const OTHER = 23;

const shell = (script: string): Operation[] => [
  { op: 'findProgram', candidates: ['/bin/sh'] },
  { op: 'execute', arguments: ['sh', '-c', script], environment: ['PATH=/bin', 'HOME=/'] },
];

export const mountProc: readonly Operation[] = [
  { op: 'makeMount', slot: PROC, type: 'proc', source: 'proc', options: [], attributes: 0 },
  { op: 'attach', slot: PROC, root: ROOT, path: '/proc' },
];

export const mountDev: readonly Operation[] = [
  {
    op: 'makeMount',
    slot: DEV,
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['mode=755'],
    attributes: ATTR.noSuid,
  },
  { op: 'attach', slot: DEV, root: ROOT, path: '/dev' },
];

export function node(path: string, major: number, minor: number): Operation {
  return { op: 'makeNode', root: ROOT, path, mode: S_IFCHR | 0o666, major, minor, uid: 0, gid: 0 };
}

/** Service managers share all mounts of a host; what is to become a root must not be. */
export function madePrivate(at: number, path = ''): Operation {
  const change = { set: 0, clear: 0, propagation: PROPAGATION.private, recursive: 1, userns: NO_SLOT };
  return { op: 'setMountAttributes', at, path, ...change };
}

export class Sandbox {
  readonly directory: string;
  readonly root: string;

  constructor(t: TestContext) {
    this.directory = mkdtempSync(join(tmpdir(), 'launcher-'));
    this.root = join(this.directory, 'root');
    mkdirSync(join(this.root, 'bin'), { recursive: true });
    copyFileSync('/bin/busybox', join(this.root, 'bin/busybox'));
    for (const name of [
      'sh',
      'cat',
      'ls',
      'stat',
      'grep',
      'id',
      'mount',
      'readlink',
      'tty',
      'stty',
      'touch',
    ]) {
      symlinkSync('busybox', join(this.root, 'bin', name));
    }
    t.after(() => rmSync(this.directory, { recursive: true }));
  }

  path(...names: string[]): string {
    return join(this.root, ...names);
  }

  /** The root, and the way to it, for somebody who is root as `uid` only. */
  giveTo(uid: number): void {
    chmodSync(this.directory, 0o755);
    for (const path of [this.root, this.path('bin')]) chownSync(path, uid, uid);
  }

  directoryAt(...names: string[]): string {
    const path = this.path(...names);
    mkdirSync(path, { recursive: true });
    return path;
  }

  file(name: string, content = ''): string {
    writeFileSync(this.path(name), content);
    return this.path(name);
  }

  link(name: string, target: string): void {
    symlinkSync(target, this.path(name));
  }

  #plan(trial: Trial): Buffer {
    const flags = trial.flags ?? CLONE.mount | CLONE.uts | CLONE.ipc | CLONE.pid;
    return encodeLaunchPlan({
      before: [
        { op: 'openTree', slot: ROOT, at: NO_SLOT, path: this.root, recursive: 1 },
        madePrivate(ROOT),
        ...(trial.before ?? []),
        { op: 'clone', flags, cgroup: NO_SLOT },
      ],
      parent: [...(trial.parent ?? []), { op: 'waitExecuted' }],
      child: [
        ...(trial.first ?? []),
        madePrivate(NO_SLOT, '/'),
        { op: 'attachRoot', slot: ROOT, path: this.root },
        ...(trial.outside ?? []),
        ...(trial.enter ?? [{ op: 'pivot', root: ROOT }]),
        ...(trial.inside ?? []),
        { op: 'closeFrom', first: 3 },
        ...(trial.last ?? shell(trial.script ?? 'true')),
      ],
    });
  }

  run(trial: Trial, ...given: readonly string[]): Outcome {
    const file = join(this.directory, 'plan');
    writeFileSync(file, this.#plan(trial));
    const plan = openSync(file, 'r');
    const report = openSync(join(this.directory, 'report'), 'w+');
    try {
      const result = spawnSync(SHIM_BINARY, ['launch', '3', 'wait', 'report=4', ...given], {
        stdio: ['ignore', 'pipe', 'pipe', plan, report],
        encoding: 'utf8',
        timeout: 20_000,
      });
      return { ...result, failure: this.#failure() };
    } finally {
      closeSync(plan);
      closeSync(report);
      unlinkSync(file);
    }
  }

  #failure(): Failure | undefined {
    const text = spawnSync('cat', [join(this.directory, 'report')], { encoding: 'utf8' }).stdout.trim();
    const last = text.split('\n').at(-1) ?? '';
    return last.includes('"errno"') ? (JSON.parse(last) as Failure) : undefined;
  }

  /** What the script printed; it must have ended with 0. */
  output(trial: Trial): string {
    const outcome = this.run(trial);
    assert.deepEqual([outcome.failure, outcome.stderr, outcome.status], [undefined, '', 0]);
    return outcome.stdout;
  }

  lines(trial: Trial): string[] {
    return this.output(trial).trimEnd().split('\n');
  }

  /** `step: object` of the failed operation with this errno; nothing else may have failed. */
  fails(trial: Trial, error: string): string {
    const { failure, status } = this.run(trial);
    assert.ok(failure, 'nothing failed');
    assert.deepEqual([failure.errno, status], [errno[error], 1], JSON.stringify(failure));
    return `${failure.operation}: ${failure.step}: ${failure.object}`;
  }
}
