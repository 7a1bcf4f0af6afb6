import { spawn } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { RuntimeSpec, SpecProcess } from '#oci/runtime-spec.ts';
import { PLAIN_ENV, type CommandResult, until } from '../../support/command.ts';
import {
  cgroupHierarchies,
  killProcessesNaming,
  processesNaming,
  removeCgroups,
} from '../../support/leaks.ts';

export const GANTRY_OCI = fileURLToPath(new URL('../../../bin/gantry-oci', import.meta.url));
const APPLETS =
  'sh cat echo sleep true false id env pwd readlink kill stty ps wc ls grep test mount hostname stat'.split(
    ' ',
  );

const PATIENCE_MS = 30_000;

/** Why these tests cannot run here, or false. */
export function cannotRun(): string | false {
  if (process.getuid?.() !== 0) return 'needs root';
  return existsSync('/bin/busybox') ? false : 'needs runc and busybox';
}

export interface CallOptions {
  /** The command line's own standard input: a file. */
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  /** Descriptors from 3 on. */
  readonly more?: readonly number[];
  readonly root?: string;
  readonly globals?: readonly string[];
}

type Change = (spec: Required<Pick<RuntimeSpec, 'linux' | 'mounts'>> & RuntimeSpec) => void;

export interface State {
  readonly id: string;
  readonly pid: number;
  readonly status: string;
  readonly bundle: string;
}

function makeRoot(rootfs: string): void {
  for (const name of ['bin', 'etc', 'proc', 'dev', 'sys', 'tmp', 'sbin', 'mnt'])
    mkdirSync(join(rootfs, name), { recursive: true });
  copyFileSync('/bin/busybox', join(rootfs, 'bin/busybox'));
  for (const applet of APPLETS) symlinkSync('busybox', join(rootfs, 'bin', applet));
  writeFileSync(
    join(rootfs, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\nsomebody:x:1000:1000::/:/bin/sh\n',
  );
}

/** One `--root`, bundles, and a cgroup of its own. */
export class World {
  readonly directory = mkdtempSync(join(tmpdir(), 'gantry-oci-'));
  readonly root = join(this.directory, 'root');
  readonly cgroup = `/gantry-oci-test-${process.pid}-${this.directory.slice(-6)}`;
  readonly #patienceMs: number;
  #count = 0;

  constructor(patienceMs = PATIENCE_MS) {
    this.#patienceMs = patienceMs;
  }

  /** A bundle whose process is `args`; returns its directory. */
  bundle(args: readonly string[], change: Change = () => undefined): string {
    const directory = join(this.directory, `bundle-${++this.#count}`);
    makeRoot(join(directory, 'rootfs'));
    const spec = this.spec(args, directory);
    change(spec);
    writeFileSync(join(directory, 'config.json'), JSON.stringify(spec));
    return directory;
  }

  spec(
    args: readonly string[],
    bundle: string,
  ): Required<Pick<RuntimeSpec, 'linux' | 'mounts'>> & RuntimeSpec {
    const quiet = ['nosuid', 'noexec', 'nodev'];
    const types = ['pid', 'network', 'ipc', 'uts', 'mount', 'cgroup'] as const;
    return {
      ociVersion: '1.2.0',
      process: this.process(args),
      root: { path: 'rootfs' },
      hostname: 'inside',
      mounts: [
        { destination: '/proc', type: 'proc', source: 'proc', options: quiet },
        {
          destination: '/dev',
          type: 'tmpfs',
          source: 'tmpfs',
          options: ['nosuid', 'mode=755', 'size=65536k'],
        },
        {
          destination: '/dev/pts',
          type: 'devpts',
          source: 'devpts',
          options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
        },
        { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...quiet, 'ro'] },
      ],
      linux: {
        cgroupsPath: join(this.cgroup, bundle.split('/').pop() ?? 'x'),
        namespaces: types.map((type) => ({ type })),
        resources: { devices: [{ allow: false, access: 'rwm' }] },
        maskedPaths: ['/proc/kcore', '/proc/keys'],
        readonlyPaths: ['/proc/sys'],
      },
    };
  }

  process(args: readonly string[], more: Partial<SpecProcess> = {}): SpecProcess {
    const capabilities = ['CAP_KILL', 'CAP_CHOWN', 'CAP_SETUID', 'CAP_SETGID'];
    return {
      user: { uid: 0, gid: 0 },
      args: [...args],
      env: ['PATH=/bin', 'TERM=dumb'],
      cwd: '/',
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      noNewPrivileges: true,
      ...more,
    };
  }

  /** A file of this world; returns its path. */
  file(name: string, content: string, mode = 0o644): string {
    const path = join(this.directory, name);
    writeFileSync(path, content, { mode });
    return path;
  }

  /**
   * Runs the command line to its end, not to the end of what it leaves behind: its output goes to files,
   * and a container may go on writing them.
   */
  async oci(args: readonly string[], options: CallOptions = {}): Promise<CommandResult> {
    const name = join(this.directory, `call-${++this.#count}`);
    const fds = [
      openSync(options.input ?? '/dev/null', 'r'),
      openSync(`${name}.out`, 'w'),
      openSync(`${name}.err`, 'w'),
    ];
    const words = ['--root', options.root ?? this.root, ...(options.globals ?? []), ...args];
    const child = spawn(GANTRY_OCI, words, {
      env: { ...PLAIN_ENV, ...options.env },
      stdio: [...fds, ...(options.more ?? [])],
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? this.#patienceMs);
    const exit = await new Promise<number>((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', (code, signal) => resolve(code ?? (signal === null ? -1 : -2)));
    });
    clearTimeout(timer);
    for (const fd of fds) closeSync(fd);
    return { exit, stdout: readFileSync(`${name}.out`, 'utf8'), stderr: readFileSync(`${name}.err`, 'utf8') };
  }

  /** The same; it has to succeed. Returns standard output. */
  async must(args: readonly string[], options: CallOptions = {}): Promise<string> {
    const result = await this.oci(args, options);
    assert.equal(result.exit, 0, `gantry-oci ${args.join(' ')}: ${result.stderr}${result.stdout}`);
    return result.stdout;
  }

  /** The same; it has to fail. Returns its last message. */
  async refused(
    args: readonly string[],
    options: CallOptions & { readonly exit?: number } = {},
  ): Promise<string> {
    const result = await this.oci(args, {
      ...options,
      globals: ['--log-format', 'json', ...(options.globals ?? [])],
    });
    assert.equal(result.exit, options.exit ?? 1, `gantry-oci ${args.join(' ')}: ${result.stderr}`);
    const lines = result.stderr.split('\n').filter((line) => line.startsWith('{'));
    return (JSON.parse(lines.at(-1) ?? '{}') as { msg?: string }).msg ?? '';
  }

  async state(id: string): Promise<State> {
    return JSON.parse(await this.must(['state', id])) as State;
  }

  async status(id: string): Promise<string> {
    return (await this.state(id)).status;
  }

  /** Waits until a container has a status. */
  async reaches(id: string, status: string): Promise<void> {
    const what = `${id} is ${status}`;
    await until(async () => ((await this.status(id)) === status ? true : undefined), {
      what,
      timeoutMs: this.#patienceMs,
    });
  }

  /** What is left of a world whose containers were all deleted. */
  async leaks(): Promise<string[]> {
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
    const left = mounts.filter((line) => line.includes(this.directory)).map((line) => `mount: ${line}`);
    for (const pid of await processesNaming(this.directory)) left.push(`process: ${pid}`);
    for (const hierarchy of await cgroupHierarchies()) {
      const parent = join(hierarchy, this.cgroup);
      if (!existsSync(parent)) continue;
      const groups = readdirSync(parent, { withFileTypes: true }).filter((entry) => entry.isDirectory());
      for (const group of groups) left.push(`cgroup: ${join(parent, group.name)}`);
    }
    if (existsSync(this.root)) for (const id of readdirSync(this.root)) left.push(`state: ${id}`);
    return left;
  }

  async close(): Promise<void> {
    let leaks: string[] = [];
    try {
      await until(
        async () => {
          leaks = await this.leaks();
          return leaks.length === 0 ? true : undefined;
        },
        { timeoutMs: 5000, what: 'nothing left behind' },
      ).catch(() => undefined);
    } finally {
      if (existsSync(this.root)) {
        for (const id of readdirSync(this.root)) await this.oci(['delete', '--force', id]);
      }
      await killProcessesNaming(this.directory);
      await removeCgroups(this.cgroup);
      rmSync(this.directory, { recursive: true, force: true });
    }
    assert.deepEqual(leaks, []);
  }
}

/** A world that is looked through for leaks and removed when the test ends. */
export function worldFor(t: TestContext, patienceMs?: number): World {
  const world = new World(patienceMs);
  t.after(() => world.close());
  return world;
}
