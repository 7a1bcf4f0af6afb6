/**
 * What is different from another runtime, and why it stays so. At most 15 entries; a line of one that is
 * found nowhere any more fails the suite.
 */
export type Where = 'container' | 'exec' | 'error';

/**
 * Lines that only our container shows, that only theirs shows; or the two results of what cannot be started.
 */
export interface Shown {
  readonly in: Where;
  /** Of the probe's output. */
  readonly section?: string;
  readonly ours?: RegExp;
  readonly theirs?: RegExp;
  /** Seen on hosts with cgroup v2 and systemd only. */
  readonly elsewhere?: boolean;
}

export interface KnownDifference {
  readonly against: 'runc' | 'crun';
  readonly reason: string;
  readonly shows: readonly Shown[];
}

const mounts = (ours: RegExp, theirs: RegExp): Shown => ({
  in: 'container',
  section: 'mountinfo',
  ours,
  theirs,
});

const RUNC: readonly Omit<KnownDifference, 'against'>[] = [
  {
    reason:
      "runc 1.1 passes over the specification's personality, over oomScoreAdj of a further process, and over the start before poststart",
    shows: [
      { in: 'container', section: 'personality', ours: /^00000008$/, theirs: /^00000000$/ },
      { in: 'exec', section: 'oom', ours: /^77$/, theirs: /^0$/ },
      { in: 'container', section: 'more', ours: /^poststart running /, theirs: /^poststart created / },
    ],
  },
  {
    reason: 'the root of a user namespace owns what is mounted in it, as with crun',
    shows: [
      {
        in: 'container',
        section: 'dev',
        ours: /^\/dev\/mqueue directory 1777 0:0 /,
        theirs: /^\/dev\/mqueue directory 1777 0:65534 /,
      },
    ],
  },
  {
    reason:
      "the cgroup file systems: of v1 the tmpfs has the mode that is asked for, as with newer runc; of v2 the mount is the host's own, which keeps its options",
    shows: [
      {
        in: 'container',
        section: 'mountinfo',
        ours: / - cgroup2 cgroup2 rw/,
        theirs: / - cgroup2 cgroup rw| master:N - cgroup2 cgroup2 rw/,
        elsewhere: true,
      },
      {
        in: 'container',
        section: 'writable',
        ours: /^\/sys\/fs\/cgroup\/w yes$/,
        theirs: /^\/sys\/fs\/cgroup\/w no$/,
      },
    ],
  },
  {
    reason:
      "what cannot be right is refused before anything is made, by its path in the specification's JSON",
    shows: [
      { in: 'error', ours: /^1 (process|linux)[.[]\S+: /, theirs: /^1 / },
      { in: 'exec', ours: /^255 exec failed: process\.\S+: /, theirs: /^255 exec failed: / },
    ],
  },
  {
    reason: 'the words of newer runc',
    shows: [
      {
        in: 'error',
        ours: /: exec: "\/etc": is a directory: permission denied$/,
        theirs: /: exec: "\/etc": permission denied$/,
      },
      {
        in: 'exec',
        ours: /: exec: "\/etc": is a directory: permission denied$/,
        theirs: /: exec: "\/etc": permission denied$/,
      },
    ],
  },
  {
    reason:
      'runc does not know what its first process died of, or says that it could not begin; ours names the field',
    shows: [
      {
        in: 'error',
        ours: /process: (process|linux|failed to setns)\S* .*$/,
        theirs: /: can't get final child's PID from pipe: EOF$/,
      },
      {
        in: 'error',
        ours: /linux\.namespaces\[4\]\.path: openat2 \/no\/such\/ns: no such file or directory$/,
        theirs: /namespace path: lstat \/no\/such\/ns: no such file or directory$/,
      },
    ],
  },
  {
    reason: 'a limit is set before anybody is in the cgroup: too small a one kills the first process',
    shows: [
      {
        in: 'error',
        ours: /: container init was OOM-killed \(memory limit too low\?\)$/,
        theirs: /: unable to set memory limit to 4096 /,
      },
    ],
  },
  {
    reason: 'a further process has no descriptor of ours open that a path could name',
    shows: [
      {
        in: 'exec',
        ours: /\("\/proc\/self\/fd\/7"\) .*: no such file or directory$/,
        theirs: /\("\/proc\/self\/fd\/7"\) .*: not a directory$/,
      },
    ],
  },
];

const CRUN: readonly Omit<KnownDifference, 'against'>[] = [
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
    reason: "the tmpfs of cgroup v1's hierarchies, and the mounts in it, are named and owned as with runc",
    shows: [
      {
        in: 'container',
        section: 'mountinfo',
        ours: / - cgroup2 cgroup rw/,
        theirs: / - cgroup2 cgroup2 rw/,
        elsewhere: true,
      },
      mounts(/ \/sys\/fs\/cgroup .* - tmpfs tmpfs /, / \/sys\/fs\/cgroup .* - tmpfs cgroup rw,size=1024k/),
      mounts(/ - cgroup \w+ /, / - cgroup \/sys\/fs\/cgroup\/\S+ /),
      {
        in: 'container',
        section: 'writable',
        ours: /^\/sys\/fs\/cgroup\/w no$/,
        theirs: /^\/sys\/fs\/cgroup\/w yes$/,
      },
    ],
  },
  {
    reason: 'no link to a masked /proc/kcore, as with newer runc',
    shows: [{ in: 'container', section: 'dev', theirs: /^\/dev\/core|^\/proc\/kcore$/ }],
  },
  {
    reason: 'a user without an entry in /etc/passwd gets HOME=/, as with runc',
    shows: [{ in: 'container', section: 'environment', ours: /^HOME=\/$/ }],
  },
  {
    reason: 'until all hooks before the pivot have run a container is creating, then created, as with runc',
    shows: [
      {
        in: 'container',
        section: 'more',
        ours: /^(prestart|create\w+) creating /,
        theirs: /^(prestart|create\w+) created /,
      },
      {
        in: 'container',
        section: 'more',
        ours: /^startContainer created /,
        theirs: /^startContainer starting /,
      },
    ],
  },
  {
    reason:
      "directories that are made on the way to a target have the mode 755, and the root is a slave of the host's mount, as with runc",
    shows: [
      {
        in: 'container',
        section: 'mountinfo',
        ours: / master:N - /,
        theirs: /^on=outside \S+ \S+\/rootfs \/ /,
        elsewhere: true,
      },
      { in: 'container', section: 'root', ours: / directory 755 /, theirs: / directory 1755 / },
    ],
  },
  {
    reason: "in a user namespace a device of the host is bound with the host's flags, as with runc",
    shows: [
      mounts(
        / \/\w+ \/dev\/\w+ rw(,nosuid)?(,relatime)? - devtmpfs /,
        / \/\w+ \/dev\/\w+ rw,nosuid,noexec(,relatime)? - devtmpfs /,
      ),
    ],
  },
];

export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  ...RUNC.map((known) => ({ ...known, against: 'runc' as const })),
  ...CRUN.map((known) => ({ ...known, against: 'crun' as const })),
];

/** What a run of one file needs of the list; it knows which lines it has found. */
export class Known {
  readonly #entries: readonly Shown[];
  readonly #used = new Set<Shown>();

  constructor(where: Where, against: KnownDifference['against']) {
    this.#entries = KNOWN_DIFFERENCES.filter((known) => known.against === against).flatMap(({ shows }) =>
      shows.filter((shown) => shown.in === where),
    );
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
      .filter((entry) => !this.#used.has(entry) && (entry.elsewhere === true) === elsewhere)
      .map(
        ({ section, ours, theirs }) => `${section ?? 'result'}: ${String(ours)} against ${String(theirs)}`,
      );
  }
}
