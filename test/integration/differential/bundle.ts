/** Bundles of a busybox root, and OCI runtimes that run them, each in the same way. */
import { copyFileSync, chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { RuntimeSpec } from '#oci/runtime-spec.ts';
import { createKernel } from '#host/real.ts';
import { readHostFacts } from '#runtime/host-facts.ts';
import { buildRuntimeSpec, type SpecInput } from '#runtime/spec.ts';
import { type CommandResult, run } from '../../support/command.ts';
import { removeCgroups } from '../../support/leaks.ts';
import { PLAIN_INPUT } from '../../support/spec-input.ts';
import { PROBE } from './probe.ts';

/**
 * Argv before the OCI command line's own words; `sees` when the runtime's version differs in what it shows.
 */
export interface Runtime {
  readonly name: string;
  readonly argv: readonly string[];
}

export const OURS: Runtime = {
  name: 'gantry-oci',
  argv: [fileURLToPath(new URL('../../../bin/gantry-oci', import.meta.url))],
};
export const RUNC: Runtime = { name: 'runc', argv: ['/usr/sbin/runc'] };
/** crun refuses a hybrid hierarchy; out of its sight is enough. */
export const CRUN: Runtime = {
  name: 'crun',
  argv: [
    'unshare',
    '-m',
    'sh',
    '-c',
    'if mountpoint -q /sys/fs/cgroup/unified; then umount -l /sys/fs/cgroup/unified; fi; exec "$@"',
    'crun',
    '/usr/bin/crun',
  ],
};

const MARK = 'gt-diff-';
/** An emulated machine needs tens of seconds for three starts at once. */
const TIME_LIMIT_MS = 150_000;
/** Of the caller's terminal; given in the specification, too, since crun does not ask for the caller's. */
export const TERMINAL = { height: 33, width: 77 };
const APPLETS = [
  ...['sh', 'cat', 'echo', 'sleep', 'true', 'id', 'ls', 'env', 'pwd', 'hostname', 'readlink', 'sort', 'stat'],
  ...[
    'tty',
    'grep',
    'sed',
    'find',
    'wc',
    'touch',
    'mkdir',
    'mknod',
    'dd',
    'stty',
    'head',
    'kill',
    'mount',
    'umount',
  ],
];

export interface Place {
  /** Everything of this test lies below it. */
  readonly folder: string;
  /** Parent of its cgroups, in every hierarchy: `/gt-diff-…`. */
  readonly cgroup: string;
  readonly rootfs: string;
  /** Called when the test is over. */
  readonly ends: (() => unknown)[];
}

/** A folder with a root file system; it goes with the test, with all its cgroups. */
export function place(t: Pick<TestContext, 'after'>): Place {
  const folder = mkdtempSync(join(tmpdir(), MARK));
  const rootfs = join(folder, 'rootfs');
  for (const name of ['bin', 'etc', 'proc', 'dev', 'sys', 'tmp', 'var'])
    mkdirSync(join(rootfs, name), { recursive: true });
  copyFileSync('/bin/busybox', join(rootfs, 'bin/busybox'));
  for (const applet of APPLETS) symlinkSync('busybox', join(rootfs, 'bin', applet));
  writeFileSync(join(rootfs, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  writeFileSync(join(rootfs, 'etc/group'), 'root:x:0:\n');
  writeFileSync(join(rootfs, 'probe'), PROBE);
  chmodSync(join(rootfs, 'probe'), 0o755);
  chmodSync(folder, 0o755);
  const made: Place = { folder, rootfs, cgroup: `/${basename(folder)}`, ends: [] };
  t.after(async () => {
    for (const end of made.ends) await end();
    await removeCgroups(made.cgroup);
    rmSync(folder, { recursive: true, force: true });
  });
  return made;
}

const HOST = readHostFacts(createKernel());

const BASE: Omit<SpecInput, 'id' | 'cgroupPath'> = {
  ...PLAIN_INPUT,
  args: ['/bin/sh', '/probe'],
  env: ['PATH=/bin'],
  hostname: 'differential',
  host: HOST,
};

export type Change = (spec: RuntimeSpec, at: Place) => void;

/** What `docker run` would hand to its runtime, with changes; in the version that every runtime reads. */
export function specOf(at: Place, input: Partial<SpecInput> = {}): RuntimeSpec {
  const id = 'differential';
  const spec: RuntimeSpec = buildRuntimeSpec({ ...BASE, id, cgroupPath: `${at.cgroup}/${id}`, ...input });
  spec.ociVersion = '1.0.2';
  spec.root = { ...spec.root, path: at.rootfs };
  return spec;
}

export interface Way {
  /** At a terminal of 77 columns and 33 rows. */
  readonly terminal?: boolean | undefined;
}

/** `run` in the foreground, from a bundle of its own. */
export async function runBundle(
  at: Place,
  runtime: Runtime,
  { spec, terminal }: Way & { readonly spec: unknown },
): Promise<CommandResult> {
  const bundle = mkdtempSync(join(at.folder, 'bundle-'));
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec));
  const result = await runtimeCommand(at, runtime, {
    words: ['run', '--bundle', bundle, basename(bundle)],
    terminal,
  });
  rmSync(bundle, { recursive: true, force: true });
  return result;
}

async function atTerminal(argv: readonly string[]): Promise<CommandResult> {
  const quoted = argv.map((word) => `'${word.replaceAll("'", `'\\''`)}'`);
  const command = `stty rows ${TERMINAL.height} cols ${TERMINAL.width}; exec ${quoted.join(' ')}`;
  const options = { timeoutMs: TIME_LIMIT_MS, input: '' };
  const result = await run('script', ['-qec', command, '/dev/null'], options);
  // The end of the standard input is typed as a character, which the terminal shows wherever it comes.
  return { ...result, stdout: result.stdout.replaceAll('^@', '').replaceAll('\r', '') };
}

export function runtimeCommand(
  at: Place,
  runtime: Runtime,
  { words, terminal = false }: Way & { readonly words: readonly string[] },
): Promise<CommandResult> {
  const argv = [...runtime.argv, '--root', join(at.folder, `state-${runtime.name}`), ...words];
  if (terminal) return atTerminal(argv);
  const [file = '', ...rest] = argv;
  // crun gives its standard input to the container's root: that must not be the host's /dev/null.
  return run(file, rest, { timeoutMs: TIME_LIMIT_MS, input: '' });
}
