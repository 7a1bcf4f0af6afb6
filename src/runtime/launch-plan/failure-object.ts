import { RLIMITS } from './kernel-numbers.ts';
import { NAMESPACE_FLAGS } from './namespaces.ts';
import { NO_SLOT, type Operation, type OperationName, SYNC } from './operations.ts';

type Describe<Op extends OperationName> = (operation: Extract<Operation, { readonly op: Op }>) => string;

const hex = (value: number | bigint): string => `0x${BigInt.asUintN(64, BigInt(value)).toString(16)}`;

const nameOf = (names: Readonly<Record<string, number>>, value: number | bigint): string =>
  Object.entries(names).find(([, number]) => BigInt(number) === BigInt(value))?.[0] ?? String(value);

/** `mount,pid`, as CLONE_NEW* say. */
function namespaces({ flags }: { readonly flags: number | bigint }): string {
  const names = Object.entries(NAMESPACE_FLAGS).filter(([, bit]) => (BigInt(flags) & BigInt(bit)) !== 0n);
  return names.length === 0 ? 'no new namespace' : names.map(([name]) => name).join(',');
}

function groupList({ gids }: { readonly gids: Uint8Array }): string {
  const count = Math.floor(gids.length / Uint32Array.BYTES_PER_ELEMENT);
  const bytes = Buffer.from(gids);
  return `[${Array.from({ length: count }, (_, i) => bytes.readUInt32LE(4 * i)).join(' ')}]`;
}

const slotText = (slot: number): string => (slot === NO_SLOT ? 'none' : `slot ${slot}`);
const point = ({ point: value }: { readonly point: number | bigint }): string => nameOf(SYNC, value);
const INSTRUCTION_BYTES = 8;

/** What the program has no words for: its operations are numbers to the kernel, not paths. */
const OBJECTS: { readonly [Op in OperationName]?: Describe<Op> } = {
  close: ({ slot }) => slotText(slot),
  clone: namespaces,
  cloneAgain: namespaces,
  joinNamespace: namespaces,
  unshare: namespaces,
  userNamespace: ({ uidMap }) => uidMap.trim(),
  currentRoot: () => '/',
  tell: point,
  wait: point,
  waitExecuted: () => 'the program',
  waitStart: () => 'the start',
  deviceProgram: ({ program }) => `${program.length / INSTRUCTION_BYTES} instructions`,
  setMountAttributes: ({ at, path, set, clear }) =>
    `${path === '' ? slotText(at) : path} +${hex(set)} -${hex(clear)}`,
  pivot: () => 'the root',
  moveRoot: () => 'the root',
  makeMount: ({ type }) => type,
  loopbackUp: () => 'lo',
  setSession: () => 'a session',
  stdio: (streams) => `slots ${streams.in}, ${streams.out}, ${streams.err}`,
  ownStdio: ({ uid }) => `standard streams for ${uid}`,
  rlimit: ({ resource, soft, hard }) => `${nameOf(RLIMITS, resource)}=${soft}:${hard}`,
  bounding: ({ mask }) => hex(mask),
  keepCapabilities: ({ on }) => String(on),
  capabilities: ({ effective, permitted, inheritable }) =>
    `effective ${hex(effective)} permitted ${hex(permitted)} inheritable ${hex(inheritable)}`,
  ambient: ({ mask }) => hex(mask),
  groups: groupList,
  gid: ({ gid }) => String(gid),
  uid: ({ uid }) => String(uid),
  umask: ({ mask }) => `0${mask.toString(8)}`,
  noNewPrivileges: () => 'no_new_privs',
  seccomp: ({ program }) => `${program.length / INSTRUCTION_BYTES} instructions`,
  personality: ({ domain }) => hex(domain),
  ioPriority: ({ value }) => String(value),
  scheduler: ({ policy, priority, nice }) => `policy ${policy} priority ${priority} nice ${nice}`,
  affinity: ({ mask }) => `CPUs ${Buffer.from(mask).toString('hex')}`,
  dumpable: ({ on }) => String(on),
  resetSignals: () => 'all signals',
  closeFrom: ({ first }) => `descriptors from ${first}`,
  findProgram: ({ candidates }) => candidates[0] ?? '',
  execute: (execute) => execute.arguments[0] ?? '',
  oomScore: ({ value }) => String(value),
};

/**
 * What a failed operation was about, from its own fields; the launcher itself reports paths and names only.
 */
export function objectOf(operation: Operation): string {
  // The table has for each name a function that takes the operation of that name.
  const describe = OBJECTS[operation.op] as Describe<never> | undefined;
  if (describe !== undefined) return describe(operation as never);
  if ('path' in operation && operation.path !== '') return operation.path;
  if ('name' in operation) return operation.name;
  return operation.op;
}
