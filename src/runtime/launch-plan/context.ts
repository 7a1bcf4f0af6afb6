import type { CgroupLayout } from '#host/kernel.ts';
import type { DeviceLimits } from '../device-rules.ts';

/** `linux.seccomp`, compiled. */
export interface CompiledSeccomp {
  /** SECCOMP_FILTER_FLAG_*. */
  readonly flags: number;
  readonly program: Uint8Array;
}

/** What both kinds of plan depend on besides the spec. Plain data, facts of this host. */
interface HostContext {
  /** Of the container. */
  readonly id: string;
  /** `kernel.cgroups.layout()`. */
  readonly cgroups: CgroupLayout;
  /** `process.seccomp` of the spec, compiled; absent when the spec has none. */
  readonly seccomp?: CompiledSeccomp;
  /** Whether the host has these security modules. */
  readonly apparmor: boolean;
  readonly selinux: boolean;
  /** Capabilities that the kernel knows, by number; default: all that we know. */
  readonly capabilities?: bigint;
  /** Of the user's passwd entry, for processes whose environment has no HOME. */
  readonly home?: string;
  /** So many descriptors from 3 on stay open for the program. Default 0. */
  readonly preservedDescriptors?: number;
  /** No session keyring of its own. */
  readonly noKeyring?: boolean;
  /** Of a process whose spec names none: the caller's own would be inherited. */
  readonly oomScoreAdj: number;
}

export interface LaunchContext extends HostContext {
  /**
   * Where the root comes from: the caller's SLOT.rootfs, a detached mount, which is attached at an existing
   * directory of the host (below nothing that matters: only the container's own mount namespace sees it);
   * or a path, opened with what is mounted below it.
   */
  readonly root: { readonly slot: true; readonly at: string } | { readonly path: string };
  /** A new network namespace of the spec is the one in SLOT.netns. */
  readonly netnsGiven?: boolean;
  /** A FIFO that is waited for once all is set up; without it the program starts at once. */
  readonly startFifo?: string;
  /**
   * A FIFO that is waited for before anything depends on the network: for a network namespace that the launch
   * makes and somebody else configures.
   */
  readonly networkFifo?: string;
  /** The network namespace is filled while the launch is at work: waited for, late, at SLOT.networkReady. */
  readonly networkLater?: boolean;
  /** Directory that relative paths start from, and that hooks get to know; absolute. */
  readonly bundle: string;
  /** `linux.resources.devices`, compiled for this host's cgroups. */
  readonly devices: DeviceLimits;
  /**
   * What cgroup.subtree_control of v2 cgroups says, by their path (`/`, `/docker`): it is not written again,
   * since every write waits for cgroups on their way out. Default: nothing is known.
   */
  readonly enabledControllers?: Readonly<Record<string, readonly string[]>>;
  /** Path of a mount namespace whose /dev/shm a mount with the source `task:shm` shows. */
  readonly shmOf?: string;
  /** Whether the host has /proc/kcore; default yes. */
  readonly kcore?: boolean;
  /** This process runs in a user namespace of its own, where nobody makes device nodes. */
  readonly inUserNamespace?: boolean;
  /**
   * MS_MOVE and chroot instead of pivot_root, for a root on a ramdisk. `hide`: mount points of every whole
   * procfs and sysfs of the host; they would let a user namespace inside mount one without what is masked.
   */
  readonly noPivot?: { readonly hide: readonly string[] };
  /** The hooks that follow the start are part of the plan; not with `startFifo`. Default: without it, yes. */
  readonly poststart?: boolean;
}

export interface ExecContext extends HostContext {
  /**
   * Where the exec joins the v2 hierarchy, when that is not the container's cgroup: init's own one. Retry
   * with it when `clone` failed with EBUSY (a service manager inside has moved everybody to leaves).
   */
  readonly initCgroup?: string;
}

/** What an exec needs of the container's spec. */
export interface ExecTarget {
  /** Types of all namespaces of the container, new and joined ones; without those that are the host's. */
  readonly namespaces: readonly string[];
  readonly cgroupsPath: string;
  /** Of the container's spec. */
  readonly personality?: { readonly domain: string };
}
