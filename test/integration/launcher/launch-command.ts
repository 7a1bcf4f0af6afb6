/** Runs plans of a test by `gantry-shim launch`, with a root file system of busybox. */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import type { Readable } from 'node:stream';
import type { TestContext } from 'node:test';
import { encodeLaunchPlan } from '../../../src/runtime/launch-plan/encode.ts';
import {
  type LaunchPlan,
  NO_SLOT,
  type Operation,
  OPERATIONS,
  SLOT,
} from '../../../src/runtime/launch-plan/operations.ts';

import { SHIM_BINARY } from '../shim/shim-harness.ts';
import { CLONE, madePrivate } from './sandbox.ts';

const APPLETS = [
  'sh',
  'cat',
  'echo',
  'sleep',
  'ls',
  'readlink',
  'true',
  'id',
  'hostname',
  'tty',
  'stat',
  'kill',
];
const BUSYBOX = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path));

/** Why these tests cannot run here, or false. */
export function cannotLaunch(): string | false {
  if (process.getuid?.() !== 0) return 'needs root';
  return BUSYBOX === undefined && 'needs busybox';
}

/** A directory that goes with the test, with a root of busybox in `root`. */
export function makeRoot(t: TestContext): { directory: string; root: string } {
  const directory = mkdtempSync(join(tmpdir(), 'gantry-launch-'));
  chmodSync(directory, 0o755);
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const root = join(directory, 'root');
  for (const name of ['bin', 'proc', 'dev', 'sys', 'tmp']) mkdirSync(join(root, name), { recursive: true });
  copyFileSync(BUSYBOX ?? '', join(root, 'bin/busybox'));
  for (const applet of APPLETS) symlinkSync('busybox', join(root, 'bin', applet));
  return { directory, root };
}

export interface PlanParts {
  readonly root: string;
  readonly flags?: number;
  readonly command: readonly string[];
  readonly before?: readonly Operation[];
  readonly parent?: readonly Operation[];
  /** In the new namespaces, before the root is entered. */
  readonly early?: readonly Operation[];
  /** In the root, before the program. */
  readonly child?: readonly Operation[];
}

const ROOT_SLOT = 10;

/** A small container: a copy of the root, its own mounts, `/proc`, the program. */
export function smallPlan(parts: PlanParts): LaunchPlan {
  const { root, command } = parts;
  const flags = parts.flags ?? CLONE.mount | CLONE.pid | CLONE.uts | CLONE.ipc;
  return {
    before: [
      { op: 'openTree', slot: ROOT_SLOT, at: NO_SLOT, path: root, recursive: 0 },
      madePrivate(ROOT_SLOT),
      ...(parts.before ?? []),
      { op: 'clone', flags, cgroup: NO_SLOT },
    ],
    parent: [...(parts.parent ?? []), { op: 'waitExecuted' }],
    child: [
      ...(parts.early ?? []),
      madePrivate(NO_SLOT, '/'),
      { op: 'attachRoot', slot: ROOT_SLOT, path: root },
      { op: 'makeMount', slot: 11, type: 'proc', source: 'proc', options: [], attributes: 0 },
      { op: 'attach', slot: 11, root: ROOT_SLOT, path: '/proc' },
      { op: 'pivot', root: ROOT_SLOT },
      ...(parts.child ?? []),
      { op: 'setSession' },
      { op: 'stdio', in: SLOT.in, out: SLOT.out, err: SLOT.err, controlling: 0 },
      { op: 'resetSignals' },
      { op: 'closeFrom', first: 3 },
      { op: 'execute', arguments: command, environment: ['PATH=/bin'] },
    ],
  };
}

export interface Failure {
  readonly list: string;
  readonly index: number;
  readonly code: number;
  readonly operation: string;
  readonly errno: number;
  readonly status: number;
  readonly step: string;
  readonly object: string;
}

export interface Launched {
  readonly process: ChildProcess;
  /** What has come on the report's descriptor, once the command has ended. */
  readonly report: Promise<Buffer>;
  readonly stdout: Promise<string>;
  readonly stderr: Promise<string>;
  readonly ended: Promise<number | null>;
}

export interface LaunchOptions {
  readonly words?: readonly string[];
  /** Descriptors 5, 6 … of the command. */
  readonly descriptors?: readonly number[];
  readonly detached?: boolean;
}

/** The command with the plan on 3 and the report on 4. */
export function launchBytes(directory: string, plan: Uint8Array, options: LaunchOptions = {}): Launched {
  const file = join(directory, 'plan');
  writeFileSync(file, plan);
  const planFd = openSync(file, 'r');
  const args = ['launch', '3', 'report=4', ...(options.words ?? ['wait'])];
  const child = spawn(SHIM_BINARY, args, {
    stdio: ['ignore', 'pipe', 'pipe', planFd, 'pipe', ...(options.descriptors ?? [])],
    env: {},
  });
  closeSync(planFd);
  return {
    process: child,
    report: buffer(child.stdio[4] as Readable),
    stdout: text(child.stdout as Readable),
    stderr: text(child.stderr as Readable),
    ended: new Promise((resolve, reject) => {
      child.once('exit', resolve);
      child.once('error', reject);
    }),
  };
}

export interface Outcome {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly pid: number | undefined;
  readonly failure: Failure | undefined;
}

export async function outcomeOf(launched: Launched): Promise<Outcome> {
  const [exitCode, report, stdout, stderr] = await Promise.all([
    launched.ended,
    launched.report,
    launched.stdout,
    launched.stderr,
  ]);
  const lines = report
    .toString()
    .split('\n')
    .filter((line) => line !== '');
  const values = lines.map((line) => JSON.parse(line) as Partial<Failure> & { pid?: number });
  const failure = values.find((value) => value.errno !== undefined) as Failure | undefined;
  return { exitCode, stdout, stderr, failure, pid: values.find((value) => value.pid !== undefined)?.pid };
}

export function launch(directory: string, plan: LaunchPlan, options: LaunchOptions = {}): Promise<Outcome> {
  return outcomeOf(launchBytes(directory, encodeLaunchPlan(plan), options));
}

/** What a failure of that operation looks like: the place in its list is looked up by name. */
export function placeOf(plan: LaunchPlan, list: keyof LaunchPlan, op: Operation['op']): Partial<Failure> {
  const index = plan[list].findIndex((operation) => operation.op === op);
  return { list, index, operation: op, code: OPERATIONS[op].code };
}
