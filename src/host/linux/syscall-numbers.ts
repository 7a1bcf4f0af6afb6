/** System call numbers of the calls this room makes: x86_64, then arm64 (asm-generic). */
const NUMBERS = {
  bind: [49, 200],
  capget: [125, 90],
  capset: [126, 91],
  chdir: [80, 49],
  close: [3, 57],
  eventfd2: [290, 19],
  fchmod: [91, 52],
  fchmodat: [268, 53],
  fchmodat2: [452, 452],
  fchown: [93, 55],
  fchownat: [260, 54],
  fcntl: [72, 25],
  flock: [73, 32],
  fsconfig: [431, 431],
  fsync: [74, 82],
  fsmount: [432, 432],
  fsopen: [430, 430],
  getdents64: [217, 61],
  getsockname: [51, 204],
  getsockopt: [55, 209],
  getxattr: [191, 8],
  ioctl: [16, 29],
  linkat: [265, 37],
  listen: [50, 201],
  listxattr: [194, 11],
  lseek: [8, 62],
  memfd_create: [319, 279],
  mkdirat: [258, 34],
  mknodat: [259, 33],
  mount: [165, 40],
  mount_setattr: [442, 442],
  move_mount: [429, 429],
  open_tree: [428, 428],
  openat: [257, 56],
  openat2: [437, 437],
  pidfd_open: [434, 434],
  pidfd_send_signal: [424, 424],
  ppoll: [271, 73],
  read: [0, 63],
  readlinkat: [267, 78],
  recvfrom: [45, 207],
  removexattr: [197, 14],
  renameat2: [316, 276],
  sendto: [44, 206],
  setfsgid: [123, 152],
  setfsuid: [122, 151],
  setns: [308, 268],
  setsockopt: [54, 208],
  setxattr: [188, 5],
  socket: [41, 198],
  socketpair: [53, 199],
  statfs: [137, 43],
  statx: [332, 291],
  symlinkat: [266, 36],
  sync_file_range: [277, 84],
  syncfs: [306, 267],
  umount2: [166, 39],
  unlinkat: [263, 35],
  unshare: [272, 97],
  utimensat: [280, 88],
  waitid: [247, 95],
  write: [1, 64],
} as const satisfies Record<string, readonly [x64: number, arm64: number]>;

export type SyscallName = keyof typeof NUMBERS;

const COLUMNS: Readonly<Record<string, 0 | 1>> = { x64: 0, arm64: 1 };

/** Number by name for one of node's architecture names; undefined where this room has no table for it. */
export function syscallNumbers(architecture: string): Readonly<Record<SyscallName, number>> | undefined {
  const column = COLUMNS[architecture];
  if (column === undefined) return undefined;
  const entries = Object.entries(NUMBERS).map(([name, numbers]) => [name, numbers[column]]);
  return Object.fromEntries(entries) as Record<SyscallName, number>;
}
