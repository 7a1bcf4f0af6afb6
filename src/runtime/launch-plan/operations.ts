/*
 * The operations of a launch plan. `native/launcher/operations.h` is generated from this table by
 * `tools/gen-launch-plan.ts`; docs/flows/launch-plan.md explains how a plan runs. Codes only ever grow and
 * fields are only added at an operation's end.
 *
 * Field kinds: `number` u64 (two's complement) · `slot` a number below MAX_SLOTS that names a descriptor ·
 * `newSlot` one that is given a descriptor (and loses the one it had) ·
 * `text` bytes without NUL · `bytes` anything · `list` texts. A path `in ROOT` is resolved by
 * openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS) below a slot's directory; a `host path` is opened as it is
 * and may only stand in the list `before`.
 */

export type FieldKind = 'number' | 'slot' | 'newSlot' | 'text' | 'bytes' | 'list';

interface OperationShape {
  readonly code: number;
  readonly fields: Readonly<Record<string, FieldKind>>;
}

export const OPERATIONS = {
  /* --- descriptors --- */
  /** openat2(at, path, flags, mode, resolve) → slot. `at` NO_SLOT: the working directory (host path). */
  open: {
    code: 1,
    fields: { slot: 'newSlot', at: 'slot', path: 'text', flags: 'number', mode: 'number', resolve: 'number' },
  },
  close: { code: 2, fields: { slot: 'slot' } },
  /**
   * Detached copy of the tree at a path (open_tree OPEN_TREE_CLONE) → slot. `recursive` 0 or 1. `at` NO_SLOT:
   * host path, links followed; else in ROOT of that slot. Empty path: what the slot `at` itself names.
   */
  openTree: { code: 3, fields: { slot: 'newSlot', at: 'slot', path: 'text', recursive: 'number' } },
  /**
   * Detached copy of `path` (no link followed, must be of file system `magic`) in another mount namespace.
   */
  treeOfNamespace: {
    code: 4,
    fields: { slot: 'newSlot', namespace: 'slot', path: 'text', magic: 'number' },
  },

  /** What `/` is now → slot (O_PATH): after entering somebody's mount namespace. */
  currentRoot: { code: 5, fields: { slot: 'newSlot' } },
  /** A user namespace with these maps (lines as in uid_map) → slot; nothing else keeps it. In `before`. */
  userNamespace: { code: 6, fields: { slot: 'newSlot', uidMap: 'text', gidMap: 'text' } },

  /* --- files --- */
  /** Writes at once, without creating. `at` as in `open`; resolved without magic links unless NO_SLOT. */
  writeFile: { code: 10, fields: { at: 'slot', path: 'text', value: 'bytes' } },
  /** mkdir of a host path; directories on the way are made when they are missing. */
  makeDirectory: { code: 11, fields: { path: 'text', mode: 'number' } },
  /**
   * A small file (host path) that has nothing in it but the end of a line gets what the one of its name in
   * the directory above has; so does that one, first.
   */
  inheritFile: { code: 12, fields: { path: 'text' } },

  /** fchownat of `path` as in `open`, no link followed; empty path: what the slot itself is. */
  changeOwner: { code: 13, fields: { at: 'slot', path: 'text', uid: 'number', gid: 'number' } },

  /* --- processes around the clone --- */
  /**
   * Last operation of `before` but for what the parent does: makes the child, which runs the list `child`.
   */
  clone: { code: 20, fields: { flags: 'number', cgroup: 'slot' } },
  /** setns. `flags` are CLONE_NEW*; for a pidfd several at once. */
  joinNamespace: { code: 21, fields: { slot: 'slot', flags: 'number' } },
  unshare: { code: 22, fields: { flags: 'number' } },
  /** In `child`: goes on in a new process (same parent) with these clone flags; this one ends. */
  cloneAgain: { code: 23, fields: { flags: 'number' } },
  /** Between parent and child. Points: see SYNC. `wait` fails with the other side's failure. */
  tell: { code: 24, fields: { point: 'number' } },
  wait: { code: 25, fields: { point: 'number' } },
  /** In `parent`: until the child has executed its program (its end of the sync socket closes). */
  waitExecuted: { code: 26, fields: {} },
  /** In `parent`: writes to `/proc/<child>/<name>`: uid_map, gid_map, setgroups, timens_offsets. */
  writeChildFile: { code: 27, fields: { name: 'text', value: 'bytes' } },
  /**
   * In `child`: waits for a byte in the FIFO of the slot, which `before` has opened O_RDONLY | O_NONBLOCK.
   * Whoever starts opens it O_WRONLY | O_NONBLOCK: ENXIO says that the child is gone.
   */
  waitStart: { code: 28, fields: { slot: 'slot' } },
  /**
   * Runs a program with `before pid` + pid + `after pid` on its stdin; killed after `timeoutMs` (0: never).
   */
  hook: {
    code: 29,
    fields: {
      path: 'text',
      arguments: 'list',
      environment: 'list',
      timeoutMs: 'number',
      beforePid: 'bytes',
      afterPid: 'bytes',
    },
  },

  /* --- cgroups --- */
  /** eBPF program of type CGROUP_DEVICE, attached with BPF_F_ALLOW_MULTI to the directory in the slot. */
  deviceProgram: { code: 30, fields: { cgroup: 'slot', program: 'bytes' } },

  /* --- mounts --- */
  /**
   * mount_setattr on what `at`+`path` names (as in `openTree`; in `child` the only host path is `/`). Words
   * are MOUNT_ATTR_*, propagation MS_*.
   */
  setMountAttributes: {
    code: 40,
    fields: {
      at: 'slot',
      path: 'text',
      set: 'number',
      clear: 'number',
      propagation: 'number',
      recursive: 'number',
      userns: 'slot',
    },
  },
  /**
   * fsopen, fsconfig for each option (`key=value` a string, `key` a flag), create, fsmount with MOUNT_ATTR_*
   * → slot (a detached mount).
   */
  makeMount: {
    code: 41,
    fields: { slot: 'newSlot', type: 'text', source: 'text', options: 'list', attributes: 'number' },
  },
  /**
   * move_mount(slot → path in ROOT of `root`). A missing target is made: a directory or an empty file, as
   * fstat of the source says (directories on the way, too), mode 0755.
   */
  attach: { code: 42, fields: { slot: 'slot', root: 'slot', path: 'text' } },
  /**
   * Makes every mount of the namespace a slave (MS_REC) so that nothing here reaches the host, then
   * move_mount(slot → host path), which exists; only for the root, before the image is visible.
   */
  attachRoot: { code: 43, fields: { slot: 'slot', path: 'text' } },
  /** fchdir(root), pivot_root(".", "."), umount2(".", MNT_DETACH), chdir("/"); old root rslave before. */
  pivot: { code: 44, fields: { root: 'slot' } },
  /**
   * Without pivot: takes away or covers the mounts at `hide` (host paths), MS_MOVE of root over /, chroot.
   */
  moveRoot: { code: 45, fields: { root: 'slot', hide: 'list' } },
  /** Bind of the path onto itself, recursive, read-only (top mount). Absent paths are skipped by ENOENT. */
  makeReadonly: { code: 46, fields: { root: 'slot', path: 'text' } },
  /**
   * Hides a path in ROOT: a file by a bind of `null` (checked: a character device 1:3), a directory by an
   * empty read-only tmpfs.
   */
  mask: { code: 47, fields: { root: 'slot', path: 'text', null: 'slot' } },
  /** Copies the tree at `path` in ROOT onto the (still detached) tmpfs in `slot`: `tmpcopyup`. */
  copyUp: { code: 48, fields: { slot: 'slot', root: 'slot', path: 'text' } },
  /**
   * `makeMount` of type tmpfs with the mode of the directory at `path` in ROOT, when one is there, as the
   * reference does where no option says the mode.
   */
  makeTmpfs: {
    code: 49,
    fields: {
      slot: 'newSlot',
      root: 'slot',
      path: 'text',
      source: 'text',
      options: 'list',
      attributes: 'number',
    },
  },

  /* --- what lies in the root --- */
  makeNode: {
    code: 60,
    fields: {
      root: 'slot',
      path: 'text',
      mode: 'number' /** with S_IF* */,
      major: 'number',
      minor: 'number',
      uid: 'number',
      gid: 'number',
    },
  },
  makeLink: { code: 61, fields: { root: 'slot', path: 'text', target: 'text' } },
  /** Below a private procfs in `proc`: checked to be procfs, no link followed. `sys/net/ipv4/…`. */
  writeProc: { code: 62, fields: { proc: 'slot', path: 'text', value: 'bytes' } },
  /** `writeProc` to `<own pid>/<name>`, for instance `attr/apparmor/exec`. */
  writeProcSelf: { code: 63, fields: { proc: 'slot', name: 'text', value: 'bytes' } },
  hostname: { code: 64, fields: { name: 'text' } },
  domainname: { code: 65, fields: { name: 'text' } },
  /** mkdir -p in ROOT, mode 0755. */
  makePath: { code: 66, fields: { root: 'slot', path: 'text' } },
  /** Sets the interface `lo` of the network namespace up. */
  loopbackUp: { code: 67, fields: {} },

  /* --- the process --- */
  setSession: { code: 80, fields: {} },
  /**
   * Makes a pseudo-terminal from `ptmx` of the devpts in ROOT at `path` (checked: devpts, 5:2, no link),
   * opens its other end by TIOCGPTPEER, sets the size (0: not), hands the master to the caller. The peer →
   * slot.
   */
  terminal: {
    code: 81,
    fields: { slot: 'newSlot', root: 'slot', path: 'text', width: 'number', height: 'number' },
  },
  /** dup2 of three slots to 0, 1, 2; `controlling` 1: TIOCSCTTY on 0. */
  stdio: { code: 82, fields: { in: 'slot', out: 'slot', err: 'slot', controlling: 'number' } },
  /** fchown of descriptors 0, 1, 2 (not of /dev/null) to a uid. */
  ownStdio: { code: 83, fields: { uid: 'number' } },
  /** prlimit; resource by its number. In `parent`: the child's. */
  rlimit: { code: 84, fields: { resource: 'number', soft: 'number', hard: 'number' } },
  /** Dropping: every capability outside of the mask leaves the bounding set. */
  bounding: { code: 85, fields: { mask: 'number' } },
  keepCapabilities: { code: 86, fields: { on: 'number' } },
  capabilities: { code: 87, fields: { effective: 'number', permitted: 'number', inheritable: 'number' } },
  /** Clears the ambient set, raises what the mask has. */
  ambient: { code: 88, fields: { mask: 'number' } },
  /** `gids`: u32 little-endian, each. */
  groups: { code: 89, fields: { gids: 'bytes' } },
  /** setresgid / setresuid. */
  gid: { code: 90, fields: { gid: 'number' } },
  uid: { code: 91, fields: { uid: 'number' } },
  umask: { code: 92, fields: { mask: 'number' } },
  noNewPrivileges: { code: 93, fields: {} },
  /** `program`: struct sock_filter, each. */
  seccomp: { code: 94, fields: { flags: 'number', program: 'bytes' } },
  /**
   * Joins the session keyring of that name, made when absent; `permissions` as keyctl(2) has them, 0: as they
   * are.
   */
  keyring: { code: 95, fields: { name: 'text', permissions: 'number' } },
  /**
   * chdir, then getcwd must lie inside of the root. `attempt` 1: EACCES and EPERM are put off; 2: nothing
   * when an attempt before was successful; 0: the only one.
   */
  workingDirectory: { code: 96, fields: { path: 'text', attempt: 'number' } },
  personality: { code: 97, fields: { domain: 'number' } },
  ioPriority: { code: 98, fields: { value: 'number' } },
  scheduler: {
    code: 99,
    fields: {
      policy: 'number',
      nice: 'number',
      priority: 'number',
      flags: 'number',
      runtime: 'number',
      deadline: 'number',
      period: 'number',
    },
  },
  /** CPU mask, little-endian bits. */
  affinity: { code: 100, fields: { mask: 'bytes' } },
  dumpable: { code: 101, fields: { on: 'number' } },
  /** Empty mask, every disposition default. */
  resetSignals: { code: 102, fields: {} },
  /**
   * Closes every descriptor from `first` on and every slot; only FIFOs in slots of the plan's own stay until
   * the execve: no path of the image may lead through a descriptor of the host. Without it: from 3 on.
   */
  closeFrom: { code: 103, fields: { first: 'number' } },
  /**
   * Looks for the first candidate that is a file that we may execute; `execute` runs it. Errno of the
   * failure: ENOENT, EACCES (also EISDIR for a directory).
   */
  findProgram: { code: 104, fields: { candidates: 'list' } },
  execute: { code: 105, fields: { arguments: 'list', environment: 'list' } },
  oomScore: { code: 106, fields: { value: 'number' } },
  /** Descriptors 0, 1, 2 that are /dev/null (1:3) become `path` in ROOT, when that is such a device, too. */
  reopenNull: { code: 107, fields: { root: 'slot', path: 'text' } },
} as const satisfies Readonly<Record<string, OperationShape>>;

export type OperationName = keyof typeof OPERATIONS;

/** Errnos that an operation may be told to take for success; at most 4. */
export const MAX_IGNORED = 4;
export const MAX_SLOTS = 1024;
/** Stands where no descriptor is meant. */
export const NO_SLOT = 0xffff;
export const MAX_OPERATIONS = 8192;
export const MAX_PLAN_BYTES = 4 * 1024 * 1024;
/** Texts of all lists of one plan together: `execute` alone may have this many. */
export const MAX_LIST_TEXTS = 65_536;

/** Slots that the caller of the launcher fills; the plan's own begin at FIRST. */
export const SLOT = {
  /** The root: a detached mount or a directory. */
  rootfs: 0,
  /** A network namespace, or absent. */
  netns: 1,
  /** pidfd of the container's init, for an exec. */
  init: 2,
  in: 3,
  out: 4,
  err: 5,
  /** A pipe: a byte in it says that what belongs into the network namespace is there. */
  networkReady: 6,
  /** A mount namespace with nothing in it, entered in place of a new copy of the host's. */
  mounts: 7,
  first: 8,
} as const;

export const SYNC = { mapsWritten: 1, created: 2, hooksDone: 3 } as const;

interface FieldTypes {
  number: number | bigint;
  slot: number;
  newSlot: number;
  text: string;
  bytes: Uint8Array;
  list: readonly string[];
}

type FieldValues<Shape extends OperationShape> = {
  readonly [Name in keyof Shape['fields']]: FieldTypes[Shape['fields'][Name]];
};

/** One operation: its name, its fields, errnos it may ignore, the member of the spec it comes from. */
export type Operation = {
  [Name in OperationName]: {
    readonly op: Name;
    readonly ignore?: readonly number[];
    /** JSON path in the spec, for errors; not encoded. `mounts[3]`. */
    readonly from?: string;
  } & FieldValues<(typeof OPERATIONS)[Name]>;
}[OperationName];

/** Three lists; the sync points order them against each other. */
export interface LaunchPlan {
  /** In the starter: a child of the caller, in the host's namespaces. Ends with `clone`. */
  readonly before: readonly Operation[];
  /** In the starter, after the clone. */
  readonly parent: readonly Operation[];
  /** In the new process, up to `execute`. */
  readonly child: readonly Operation[];
}

export const LISTS = ['before', 'parent', 'child'] as const;
