import { objectOf } from './failure-object.ts';
import type { LaunchPlan, Operation, OperationName } from './operations.ts';

/** What the launcher reports when an operation failed. */
export interface LaunchFailure {
  /** `before`, `parent` or `child`. */
  readonly list: string;
  /** In that list. */
  readonly index: number;
  readonly code: number;
  readonly errno: number;
  /** Of a hook that ended, as waitpid gives it. */
  readonly status: number;
  /** The call that failed: `openat2`. */
  readonly step: string;
  /** A path, a name. */
  readonly object: string;
}

const ERRNO_TEXTS: Readonly<Record<number, string>> = {
  1: 'operation not permitted',
  2: 'no such file or directory',
  3: 'no such process',
  5: 'input/output error',
  6: 'no such device or address',
  7: 'argument list too long',
  8: 'exec format error',
  9: 'bad file descriptor',
  10: 'no child processes',
  11: 'resource temporarily unavailable',
  12: 'cannot allocate memory',
  13: 'permission denied',
  16: 'device or resource busy',
  17: 'file exists',
  18: 'invalid cross-device link',
  19: 'no such device',
  20: 'not a directory',
  21: 'is a directory',
  22: 'invalid argument',
  23: 'too many open files in system',
  24: 'too many open files',
  26: 'text file busy',
  27: 'file too large',
  28: 'no space left on device',
  30: 'read-only file system',
  32: 'broken pipe',
  34: 'numerical result out of range',
  36: 'file name too long',
  38: 'function not implemented',
  40: 'too many levels of symbolic links',
  61: 'no data available',
  75: 'value too large for defined data type',
  87: 'too many users',
  95: 'operation not supported',
  110: 'connection timed out',
  116: 'stale file handle',
  117: 'structure needs cleaning',
  122: 'disk quota exceeded',
};
const EISDIR = 21;
const EINVAL = 22;
const ELOOP = 40;
const ETIMEDOUT = 110;

export function errnoText(errno: number): string {
  return ERRNO_TEXTS[errno] ?? `errno ${errno}`;
}

/** Where in runc's chain of messages an error has its place. */
interface Told {
  readonly text: string;
  /** By the container's first process, whatever list of ours it was in. */
  readonly inside: boolean;
}

const told = (text: string, inside = true): Told => ({ text, inside });

/** The failed operation itself; undefined when the report does not fit the plan. */
function failedOperation(plan: LaunchPlan, { list, index }: LaunchFailure): Operation | undefined {
  if (list !== 'before' && list !== 'parent' && list !== 'child') return undefined;
  return plan[list][index];
}

/** Of a mount, what looks for its target in the image. */
const IN_ROOT: ReadonlySet<OperationName> = new Set(['attach', 'makeTmpfs', 'copyUp', 'makePath']);

function mountText(plan: LaunchPlan, operation: Operation, failure: LaunchFailure): Told {
  const same = [...plan.before, ...plan.child].filter(({ from }) => from === operation.from);
  let [source, target] = ['', ''];
  for (const each of same) {
    if (each.op === 'openTree' || each.op === 'treeOfNamespace') source ||= each.path;
    if (each.op === 'makeMount' || each.op === 'makeTmpfs') source ||= each.source;
    if (each.op === 'attach') target ||= each.path;
  }
  const why = errnoText(failure.errno);
  const opened = operation.op === 'openTree' || operation.op === 'treeOfNamespace';
  // What the kernel has to say about an option.
  const said = failure.step === 'fsconfig' || failure.step === 'fsmount' ? ` (${failure.object})` : '';
  const detail = opened
    ? `stat ${failure.object}: ${why}`
    : `mount src=${source}, dst=${target}${said}: ${why}`;
  // Links in a circle that lie in another mount: the member is named as where a spec is checked.
  const circle = failure.errno === ELOOP && IN_ROOT.has(operation.op);
  const member = circle && operation.from !== undefined ? `${operation.from}.destination: ` : '';
  const what = `error mounting ${JSON.stringify(source)} to rootfs at ${JSON.stringify(target)}`;
  return told(`${member}${what}: ${detail}`);
}

function programText(candidates: readonly string[], command: string, errno: number): string {
  const quoted = JSON.stringify(command);
  if (!command.includes('/')) return `exec: ${quoted}: executable file not found in $PATH`;
  if (errno === EISDIR) return `exec: ${quoted}: is a directory: permission denied`;
  if (errno === 13 || errno === 1) return `exec: ${quoted}: permission denied`;
  return `exec: ${quoted}: stat ${candidates[0] ?? command}: ${errnoText(errno)}`;
}

/** As Go prints how a process ended. */
function hookText(
  { path, timeoutMs }: { path: string; timeoutMs: number | bigint },
  failure: LaunchFailure,
): string {
  const { status, errno, step } = failure;
  if (errno === ETIMEDOUT)
    return `hook ran past specified timeout of ${(Number(timeoutMs) / 1000).toFixed(1)}s`;
  if (step === 'execve') return `fork/exec ${path}: ${errnoText(errno)}`;
  if (status === 0) return errnoText(errno);
  const signal = status & 0x7f;
  const ended = signal === 0 ? `exit status ${(status >> 8) & 0xff}` : `signal: ${signal}`;
  return `${ended}, stdout: , stderr: `;
}

const JOINED: Readonly<Record<string, string>> = {
  makeDirectory: 'mkdir',
  openTree: 'open',
  open: 'open',
  inheritFile: 'open',
};

/** The directory that an operation of `before` has opened. */
function directoryIn(plan: LaunchPlan, slot: number): string {
  const found = plan.before.find(
    (each) => (each.op === 'open' || each.op === 'openTree') && each.slot === slot,
  );
  return found?.op === 'open' || found?.op === 'openTree' ? `${found.path}/` : '';
}

/** A file of a cgroup, and its value. */
function cgroupText(plan: LaunchPlan, operation: Operation, failure: LaunchFailure): Told {
  const why = errnoText(failure.errno);
  if (operation.op !== 'writeFile') {
    const call = JOINED[operation.op] ?? failure.step;
    return told(`unable to apply cgroup configuration: ${call} ${failure.object}: ${why}`, false);
  }
  const value = Buffer.from(operation.value).toString();
  const path = `${directoryIn(plan, operation.at)}${operation.path}`;
  const text = `failed to write ${JSON.stringify(value)}: write ${path}: ${why}`;
  const isLimit = operation.from?.startsWith('linux.resources') === true;
  const head = isLimit
    ? 'error setting cgroup config for procHooks process'
    : 'unable to apply cgroup configuration';
  return told(`${head}: ${text}`, false);
}

/** The first process ended, and not by its own will: nothing of it has failed. */
function killedText(plan: LaunchPlan): string {
  const limited = plan.before.some(({ from }) => from === 'linux.resources.memory.limit');
  return limited
    ? 'container init was OOM-killed (memory limit too low?)'
    : 'container init was killed before it could run the program';
}

type Tell<Op extends OperationName> = (
  operation: Extract<Operation, { readonly op: Op }>,
  why: string,
  failure: LaunchFailure,
) => Told;

type TellAny = (operation: unknown, why: string, failure: LaunchFailure) => Told;

/** Only in a user namespace is there an identity that the kernel knows not. */
const user: TellAny = (_operation, why, { step, errno, object }) => {
  const kind = { setresuid: 'uid', setresgid: 'gid' }[step];
  const unmapped = `cannot set ${kind ?? ''} to unmapped user in user namespace`;
  return told(
    `unable to setup user: ${errno === EINVAL && kind !== undefined ? unmapped : `${step} ${object}: ${why}`}`,
  );
};
const jail: TellAny = (_operation, why, { step, object }) =>
  told(`error jailing process inside rootfs: ${step} ${object}: ${why}`);
const capabilities: TellAny = (_operation, why, { step, object }) =>
  told(`unable to apply caps: ${step} ${object}: ${why}`);

/** In the words that callers of runc know. */
const TEXTS: { readonly [Op in OperationName]?: Tell<Op> } = {
  hostname: (_operation, why) => told(`sethostname: ${why}`),
  domainname: (_operation, why) => told(`setdomainname: ${why}`),
  workingDirectory: ({ path }, why, { step }) =>
    step === 'getcwd'
      ? told('current working directory is outside of container mount namespace root')
      : told(`chdir to cwd (${JSON.stringify(path)}) set in config.json failed: ${why}`),
  makePath: ({ path }, why) => told(`mkdir ${path}: ${why}`),
  execute: (_operation, why, { object }) => told(`exec ${object}: ${why}`),
  makeNode: ({ path }, why) => told(`error creating device nodes: mknod ${path}: ${why}`),
  makeLink: ({ path, target }, why) =>
    told(`error setting up /dev symlinks: symlink ${target} ${path}: ${why}`),
  rlimit: ({ resource }, why) => told(`error setting rlimit type ${resource}: ${why}`, false),
  mask: ({ path }, why) => told(`can't mask path ${JSON.stringify(path)}: ${why}`),
  makeReadonly: ({ path }, why) => told(`can't make ${JSON.stringify(path)} read-only: ${why}`),
  writeProc: ({ path }, why, { step }) =>
    told(`${step === 'write' ? 'write' : 'open'} /proc/${path}: ${why}`),
  hook: (operation, _why, failure) => {
    const [, point, number] = /^hooks\.(\w+)\[(\d+)\]$/.exec(operation.from ?? '') ?? [];
    return told(`error running ${point ?? ''} hook #${number ?? 0}: ${hookText(operation, failure)}`);
  },
  writeProcSelf: ({ name }, why) => {
    const text = `write /proc/self/${name}: ${why}`;
    return name === 'attr/apparmor/exec'
      ? told(`unable to apply apparmor profile: apparmor failed to apply profile: ${text}`)
      : told(`can't set process label: ${text}`);
  },
  seccomp: (_operation, why, { step, object }) =>
    told(`unable to init seccomp: error loading seccomp filter into kernel: ${step} ${object}: ${why}`),
  bounding: (_operation, why, { step, object }) =>
    told(`unable to apply bounding set: ${step} ${object}: ${why}`),
  capabilities,
  ambient: capabilities,
  groups: user,
  gid: user,
  uid: user,
  ownStdio: user,
  keyring: (_operation, why, { step, object }) =>
    told(`unable to join session keyring: ${step} ${object}: ${why}`),
  pivot: jail,
  moveRoot: jail,
  joinNamespace: ({ from = 'the container' }, why, { object }) =>
    told(`failed to setns into ${from} (${object}): ${why}`),
  terminal: (_operation, why, { step, object }) =>
    told(`failed to create a terminal: ${step} ${object}: ${why}`),
};

function operationText(plan: LaunchPlan, operation: Operation, failure: LaunchFailure): Told | undefined {
  if (operation.op === 'findProgram') {
    const execute = plan.child.at(-1);
    const command = execute?.op === 'execute' ? (execute.arguments[0] ?? '') : '';
    return told(programText(operation.candidates, command, failure.errno));
  }
  // The table has for each name a function that takes the operation of that name.
  const text = TEXTS[operation.op] as Tell<never> | undefined;
  return text?.(operation as never, errnoText(failure.errno), failure);
}

function tell(plan: LaunchPlan, reported: LaunchFailure): Told {
  const operation = failedOperation(plan, reported);
  const named = operation !== undefined && reported.object === '';
  const failure = named ? { ...reported, object: objectOf(operation) } : reported;
  const { step, object, errno } = failure;
  const plain = object === '' ? `${step}: ${errnoText(errno)}` : `${step} ${object}: ${errnoText(errno)}`;
  if (operation === undefined) return told(plain, false);
  const from = operation.from ?? '';
  if (step === 'sync' && object === 'child') return told(killedText(plan), false);
  if (from.startsWith('mounts[')) return mountText(plan, operation, failure);
  if (operation.op === 'open' && from === 'linux.maskedPaths') {
    return told(`can't mask paths: open ${operation.path}: ${errnoText(errno)}`);
  }
  const cgroup = from.startsWith('linux.resources') || from === 'linux.cgroupsPath';
  if (cgroup && operation.op !== 'clone') return cgroupText(plan, operation, failure);
  const known = operationText(plan, operation, failure);
  if (known !== undefined) return known;
  return told(from === '' ? plain : `${from}: ${plain}`, failure.list === 'child');
}

/**
 * The reference's message for a failed launch, from `unable to start container process` on; what a caller
 * puts before it (`runc create failed: `, `exec failed: `) is its own.
 */
export function launchFailureText(plan: LaunchPlan, failure: LaunchFailure, kind: 'create' | 'exec'): string {
  const { text, inside } = tell(plan, failure);
  const init = inside && kind === 'create' ? 'error during container init: ' : '';
  return `unable to start container process: ${init}${text}`;
}
