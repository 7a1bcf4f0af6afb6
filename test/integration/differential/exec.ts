/** A further process in a running container: what it sees, and what cannot be started. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { SpecProcess } from '#oci/runtime-spec.ts';
import { type CommandResult, must } from '../../support/command.ts';
import { OURS, type Place, place, type Runtime, runtimeCommand, specOf, TERMINAL } from './bundle.ts';
import { Known } from './differences.ts';
import { errorMessage } from './error-text.ts';
import { compare, sectionsOf } from './normalize.ts';
import { filtered, type Options, type Peer, unlike } from './suite.ts';

const ID = 'differential-exec';

/** Starts a sleeping container with streams that nobody waits for. */
async function sleeping(at: Place, runtime: Runtime): Promise<void> {
  const bundle = join(at.folder, 'bundle');
  mkdirSync(bundle);
  const spec = specOf(at, { args: ['/bin/sleep', '100000'] });
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec));
  const detached = 'exec "$@" </dev/null >/dev/null 2>/dev/null';
  const words = ['--root', join(at.folder, `state-${runtime.name}`), 'run', '-d', '--bundle', bundle, ID];
  await must('sh', ['-c', detached, 'sh', ...runtime.argv, ...words]);
}

async function execIn(at: Place, runtime: Runtime, process: SpecProcess): Promise<CommandResult> {
  const path = join(mkdtempSync(join(at.folder, 'process-')), 'process.json');
  writeFileSync(path, JSON.stringify(process));
  const { terminal } = process;
  return await runtimeCommand(at, runtime, { words: ['exec', '--process', path, ID], terminal });
}

type Change = (process: SpecProcess) => Partial<SpecProcess>;

const AT_TERMINAL = { terminal: true, consoleSize: TERMINAL };

export const SEEN: Readonly<Record<string, Change>> = {
  default: () => ({}),
  user: () => ({ user: { uid: 1000, gid: 5, additionalGids: [5, 7] } }),
  'user and no new privileges': () => ({ user: { uid: 1000, gid: 1000 }, noNewPrivileges: true }),
  'no capabilities': () => ({ capabilities: {} }),
  directory: () => ({ cwd: '/tmp' }),
  environment: () => ({ env: ['PATH=/bin', 'HOME=/elsewhere', 'X=1'] }),
  // Go raises its own soft limit of files, and with some versions hands that on: both are one here.
  limits: () => ({
    rlimits: [
      { type: 'RLIMIT_NOFILE', soft: 200, hard: 200 },
      { type: 'RLIMIT_CORE', soft: 100, hard: 200 },
    ],
  }),
  score: () => ({ oomScoreAdj: 77 }),
  terminal: () => AT_TERMINAL,
  'terminal of a user': () => ({ ...AT_TERMINAL, user: { uid: 1000, gid: 1000 } }),
  "terminal of the caller's size": () => ({ terminal: true }),
};

export const FAILS: Readonly<Record<string, Change>> = {
  'exit code': () => ({ args: ['/bin/sh', '-c', 'exit 42'] }),
  'exit code at a terminal': () => ({ ...AT_TERMINAL, args: ['/bin/sh', '-c', 'exit 43'] }),
  killed: () => ({ args: ['/bin/sh', '-c', 'kill -9 $$'] }),
  'missing command': () => ({ args: ['nope'] }),
  'missing path': () => ({ args: ['/no/such'] }),
  'not executable': () => ({ args: ['/plain'] }),
  'a directory': () => ({ args: ['/etc'] }),
  'missing directory': () => ({ cwd: '/not/there' }),
  'relative directory': () => ({ cwd: 'tmp' }),
  'directory of the host': () => ({ cwd: '/proc/self/fd/7' }),
};

interface Held {
  readonly runtime: Runtime;
  readonly at: Place;
}

/** A running container of each runtime; `end` removes them all. */
async function holdAll(runtimes: readonly Runtime[]): Promise<{ held: Held[]; end: () => Promise<void> }> {
  const ends: (() => unknown)[] = [];
  const context = { after: (end?: unknown) => typeof end === 'function' && ends.push(() => end()) };
  const held: Held[] = [];
  const end = async (): Promise<void> => {
    for (const { runtime, at } of held) {
      await runtimeCommand(at, runtime, { words: ['delete', '--force', ID] });
    }
    for (const each of ends) await each();
  };
  for (const runtime of runtimes) {
    const at = place(context);
    held.push({ runtime, at });
    writeFileSync(join(at.rootfs, 'plain'), 'text\n');
    chmodSync(join(at.rootfs, 'plain'), 0o644);
    await sleeping(at, runtime);
  }
  return { held, end };
}

interface Result extends CommandResult {
  readonly at: Place;
}

async function execAll(held: readonly Held[], change: Change | undefined): Promise<[Result, ...Result[]]> {
  assert.ok(change);
  const [mine, ...others] = await Promise.all(
    held.map(async ({ runtime, at }) => {
      const { process } = specOf(at);
      assert.ok(process);
      return { ...(await execIn(at, runtime, { ...process, ...change(process) })), at };
    }),
  );
  assert.ok(mine);
  return [mine, ...others];
}

function unlikeSections(peer: Peer, [mine, other]: readonly (Result | undefined)[], known: Known): string[] {
  assert.ok(mine && other);
  assert.equal(mine.exit, other.exit, `${mine.stderr}\n--- ${other.stderr}`);
  for (const { stdout, stderr } of [mine, other]) assert.ok(stdout.includes('## session'), stdout + stderr);
  const [ours, theirs] = [mine, other].map(({ stdout, at }) =>
    filtered(sectionsOf(stdout, at), peer.without),
  );
  assert.ok(ours && theirs);
  const found = compare(ours, theirs).flatMap((one) => known.unexplained(one));
  return found.map((line) => `${peer.against}: ${line}`);
}

interface Chosen {
  /** Of SEEN. */
  readonly seen: readonly string[];
  /** Of FAILS. */
  readonly fails: readonly string[];
}

export function furtherProcesses(chosen: Chosen, peers: readonly Peer[], options: Options = {}): void {
  describe('a further process', () => {
    const all = peers.map((peer) => ({ peer, known: new Known('exec', peer.against) }));
    let held: readonly Held[] = [];
    let end = async (): Promise<void> => {};
    before(async () => {
      ({ held, end } = await holdAll([OURS, ...peers.map(({ runtime }) => runtime)]));
    });
    after(async () => {
      await end();
      const gone = all.flatMap(({ known }) => known.gone(options.isSample === true));
      assert.deepEqual(gone, [], 'differences that are not there any more');
    });

    for (const name of chosen.seen) {
      test(`sees the same: ${name}`, async () => {
        const [mine, ...others] = await execAll(held, SEEN[name]);
        const rest = all.flatMap(({ peer, known }, i) => unlikeSections(peer, [mine, others[i]], known));
        assert.deepEqual(rest, []);
      });
    }

    for (const name of chosen.fails) {
      test(`ends the same: ${name}`, async () => {
        const results = await execAll(held, FAILS[name]);
        const [mine, ...others] = results.map(({ exit, stderr, at }) => ({
          exit,
          text: errorMessage(stderr, at),
        }));
        assert.ok(mine);
        const rest = all.flatMap(({ peer, known }, i) => unlike({ peer, mine, other: others[i], known }));
        assert.deepEqual(rest, []);
      });
    }
  });
}
