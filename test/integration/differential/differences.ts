/**
 * What is different from another runtime, and why it stays so. At most 15 entries; a line of one that is
 * found nowhere any more fails the suite.
 */
export type Where = 'container' | 'exec' | 'error';
export type Against = 'runc' | 'crun';

/**
 * Lines that only our container shows, that only theirs shows; or the two results of what cannot be started.
 */
export interface Shown {
  readonly against: Against;
  readonly in: Where;
  /** Of the probe's output. */
  readonly section?: string;
  readonly ours?: RegExp;
  readonly theirs?: RegExp;
  /** Seen on hosts with cgroup v2 and systemd only. */
  readonly elsewhere?: boolean;
}

export interface KnownDifference {
  readonly reason: string;
  readonly shows: readonly Shown[];
}

type Lines = Pick<Shown, 'ours' | 'theirs' | 'elsewhere'>;

/** Lines of a section that a container's first process tells; where not said otherwise, against crun. */
const section = (name: string, lines: Lines, against: Against = 'crun'): Shown => ({
  against,
  in: 'container',
  section: name,
  ...lines,
});

const mounts = (ours: RegExp, theirs: RegExp): Shown => section('mountinfo', { ours, theirs });

/** Two results of a start that fails. */
const error = (against: Against, ours: RegExp, theirs: RegExp): Shown => ({
  against,
  in: 'error',
  ours,
  theirs,
});

/** Two results of a further process that fails. */
const execError = (against: Against, ours: RegExp, theirs: RegExp): Shown => ({
  against,
  in: 'exec',
  ours,
  theirs,
});

export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  {
    reason:
      "runc 1.1 passes over the specification's personality and over the start before poststart; both over oomScoreAdj of a further process",
    shows: [
      section('personality', { ours: /^00000008$/, theirs: /^00000000$/ }, 'runc'),
      section('more', { ours: /^poststart running /, theirs: /^poststart created / }, 'runc'),
      { against: 'runc', in: 'exec', section: 'oom', ours: /^77$/, theirs: /^0$/ },
      { against: 'crun', in: 'exec', section: 'oom', ours: /^77$/, theirs: /^0$/ },
    ],
  },
  {
    reason: 'the root of a user namespace owns what is mounted in it, as with crun',
    shows: [
      section(
        'dev',
        { ours: /^\/dev\/mqueue directory 1777 0:0 /, theirs: /^\/dev\/mqueue directory 1777 0:65534 / },
        'runc',
      ),
    ],
  },
  {
    reason:
      "the cgroup file systems: of v1 they are named and owned as with runc, and the tmpfs has the mode that is asked for, as with newer runc; of v2 the mount is the host's own, which keeps its options",
    shows: [
      section(
        'mountinfo',
        {
          ours: / - cgroup2 cgroup2 rw/,
          theirs: / - cgroup2 cgroup rw| master:N - cgroup2 cgroup2 rw/,
          elsewhere: true,
        },
        'runc',
      ),
      section(
        'writable',
        { ours: /^\/sys\/fs\/cgroup\/w yes$/, theirs: /^\/sys\/fs\/cgroup\/w no$/ },
        'runc',
      ),
      section('mountinfo', {
        ours: / - cgroup2 cgroup rw/,
        theirs: / - cgroup2 cgroup2 rw/,
        elsewhere: true,
      }),
      mounts(/ \/sys\/fs\/cgroup .* - tmpfs tmpfs /, / \/sys\/fs\/cgroup .* - tmpfs cgroup rw,size=1024k/),
      mounts(/ - cgroup \w+ /, / - cgroup \/sys\/fs\/cgroup\/\S+ /),
      section('writable', {
        ours: /^\/sys\/fs\/cgroup\/w no$/,
        theirs: /^\/sys\/fs\/cgroup\/w yes$/,
      }),
    ],
  },
  {
    reason:
      "what cannot be right is refused before anything is made, by its path in the specification's JSON; crun lets some of it pass",
    shows: [
      error('runc', /^1 (process|linux|root)[.[]\S+: /, /^1 /),
      execError('runc', /^255 exec failed: process\.\S+: /, /^255 exec failed: /),
      error(
        'crun',
        /^1 process\.(rlimits|apparmorProfile)\S*: /,
        /^1 (setrlimit `|AppArmor is not initialized)/,
      ),
      error('crun', /^1 (process\.user|linux\.devices\[0\])\.\w+: /, /^0 $/),
      execError('crun', /^255 exec failed: process\.cwd: /, /^0 $/),
    ],
  },
  {
    reason: 'the words of newer runc',
    shows: [
      error(
        'runc',
        /: exec: "\/etc": is a directory: permission denied$/,
        /: exec: "\/etc": permission denied$/,
      ),
      error('runc', /: error running create\w+ hook #0: /, /: error running hook #0: /),
      execError(
        'runc',
        /: exec: "\/etc": is a directory: permission denied$/,
        /: exec: "\/etc": permission denied$/,
      ),
    ],
  },
  {
    reason:
      'runc does not know what its first process died of, or says that it could not begin; ours names the field, where crun names the path',
    shows: [
      error(
        'runc',
        /process: (process|linux|failed to setns)\S* .*$/,
        /: can't get final child's PID from pipe: EOF$/,
      ),
      error(
        'runc',
        /linux\.namespaces\[4\]\.path: openat2 \/no\/such\/ns: no such file or directory$/,
        /namespace path: lstat \/no\/such\/ns: no such file or directory$/,
      ),
      error(
        'crun',
        /: failed to setns into linux\.namespaces\[4\] \(ipc\): invalid argument$/,
        /^1 (cannot setns `\/proc\/self\/ns\/uts`: Invalid argument|\w.* sync socket: \w.*)$/,
      ),
    ],
  },
  {
    reason: 'a limit is set before anybody is in the cgroup: too small a one kills the first process',
    shows: [
      error(
        'runc',
        /: container init was OOM-killed \(memory limit too low\?\)$/,
        /: unable to set memory limit to 4096 /,
      ),
    ],
  },
  {
    reason: 'a further process has no descriptor of ours open that a path could name',
    shows: [
      execError(
        'runc',
        /\("\/proc\/self\/fd\/7"\) .*: no such file or directory$/,
        /\("\/proc\/self\/fd\/7"\) .*: not a directory$/,
      ),
    ],
  },
  {
    reason: 'what is no program to execute is found, and called, as with runc: crun says EPERM for it',
    shows: [
      error(
        'crun',
        /^1 .*: exec: "": executable file not found in /,
        /^1 open executable: Operation not permitted$/,
      ),
      error('crun', /^1 .*: exec: "plain": executable file not/, /^1 open executable: Permission denied$/),
      error('crun', /^1 .*: "\/etc": .* permission denied$/, /^1 open executable: Operation not permitted$/),
      execError(
        'crun',
        /^255 .*: "\/etc": .* permission denied$/,
        /^255 open executable: Operation not permitted$/,
      ),
    ],
  },
  {
    reason: 'system paths are hidden as runc does it, from the /dev/null of the container, which is checked',
    shows: [
      mounts(
        / \/(proc|sys)\/[\w-]+ ro,nosuid,nodev,noexec,relatime - proc proc rw$/,
        / \/(proc|sys)\/[\w-]+ ro,relatime - proc proc rw$/,
      ),
      mounts(/ \/null \/proc\/\w+ .* - (dev)?tmpfs /, / \/null \/proc\/\w+ .* - devtmpfs /),
      mounts(/ - tmpfs tmpfs ro(,\S+)?$/, / - tmpfs tmpfs rw,size=0k(,\S+)?$/),
      mounts(/ \/sys .* - sysfs sysfs ro$/, / \/sys .* - sysfs sysfs rw$/),
    ],
  },
  {
    reason: 'no link to a masked /proc/kcore, as with newer runc',
    shows: [section('dev', { theirs: /^\/dev\/core|^\/proc\/kcore$/ })],
  },
  {
    reason:
      "a process begins as with runc: HOME=/ for a user without an entry in /etc/passwd, a further one in a session of its own, at a terminal that belongs to its user and has the caller's size",
    shows: [
      section('environment', { ours: /^HOME=\/$/ }),
      { against: 'crun', in: 'exec', section: 'session', ours: /^1 1 0$/, theirs: /^0 0 0$/ },
      {
        against: 'crun',
        in: 'exec',
        section: 'dev',
        ours: /^\/dev\/pts\/0 .* 620 1000:5 /,
        theirs: /^\/dev\/pts\/0 .* 620 0:5 /,
      },
      section('terminal', {
        ours: /^33 77$| rows 33; columns 77; /,
        theirs: /^stty: standard input|^speed \d+ baud; line/,
      }),
    ],
  },
  {
    reason:
      'until all hooks before the pivot have run a container is creating, then created, and a failing one is exit code 1, as with runc',
    shows: [
      section('more', {
        ours: /^(prestart|create\w+) creating /,
        theirs: /^(prestart|create\w+) created /,
      }),
      section('more', { ours: /^startContainer created /, theirs: /^startContainer starting / }),
      error(
        'crun',
        /^1 .*: error running createRuntime hook #0: exit status 1, /,
        /^255 error executing hook `\/bin\/false` /,
      ),
    ],
  },
  {
    reason:
      "directories that are made on the way to a target have the mode 755, and the root, and what is bound into it, is a slave of the host's mount, as with runc",
    shows: [
      section('mountinfo', {
        ours: / master:N - /,
        theirs: /^on=(outside|\/) dev=\d+:\d+ \S+\/[\w-]+ \/\S* r[ow],\S+ - /,
        elsewhere: true,
      }),
      section('root', { ours: / directory 755 /, theirs: / directory 1755 / }),
    ],
  },
  {
    reason:
      'what is bound in /dev has the flags of the mount it comes from, as with runc: in a user namespace a device of the host, /dev/console, /dev/shm of the host',
    shows: [
      mounts(
        / \/\w+ \/dev\/\w+ rw(,nosuid)?(,relatime)? - devtmpfs /,
        / \/\w+ \/dev\/\w+ rw,nosuid,noexec(,relatime)? - devtmpfs /,
      ),
      mounts(/ \/dev\/console rw,nosuid,noexec,relatime - devpts /, / \/dev\/console rw,relatime - devpts /),
      section('mountinfo', {
        ours: / \/dev\/shm rw,nosuid,nodev - tmpfs /,
        theirs: / \/dev\/shm rw - tmpfs /,
        elsewhere: true,
      }),
    ],
  },
];

/** What a run of one file needs of the list; it knows which lines it has found. */
export class Known {
  readonly #entries: readonly Shown[];
  readonly #where: Where;
  readonly #used = new Set<Shown>();

  /** A further process sees its container: of it all is known that is known of the container's first one. */
  constructor(where: Where, against: Against) {
    const all = KNOWN_DIFFERENCES.flatMap(({ shows }) => shows);
    this.#entries = all.filter(
      (shown) =>
        shown.against === against && (shown.in === where || (shown.in === 'container' && where === 'exec')),
    );
    this.#where = where;
  }

  /** The lines of a section that nothing explains. */
  unexplained(lines: { section: string; ours: readonly string[]; theirs: readonly string[] }): string[] {
    const entries = this.#entries.filter(({ section }) => section === lines.section);
    const rest: string[] = [];
    for (const side of ['ours', 'theirs'] as const) {
      for (const line of lines[side]) {
        const known = entries.find((entry) => entry[side]?.test(line) === true);
        if (known === undefined) rest.push(`${lines.section}, ${side}: ${line}`);
        else this.#used.add(known);
      }
    }
    return rest;
  }

  /** Whether two results of the same are explained. */
  explains(ours: string, theirs: string): boolean {
    const known = this.#entries.find(
      (entry) =>
        entry.section === undefined && entry.ours?.test(ours) === true && entry.theirs?.test(theirs) === true,
    );
    if (known !== undefined) this.#used.add(known);
    return known !== undefined;
  }

  /** Lines of the list that have not been found: of those for any host, or of those for cgroup v2 only. */
  gone(elsewhere = false): string[] {
    return this.#entries
      .filter(
        (entry) =>
          !this.#used.has(entry) && entry.in === this.#where && (entry.elsewhere === true) === elsewhere,
      )
      .map(
        ({ section, ours, theirs }) => `${section ?? 'result'}: ${String(ours)} against ${String(theirs)}`,
      );
  }
}
