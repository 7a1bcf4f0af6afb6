import type { SpecHook, SpecHooks, SpecProcess, SpecUser } from '#oci/runtime-spec.ts';
import { capabilityNumber } from '../spec/capabilities.ts';
import { invalid } from './builder.ts';
import {
  flag,
  list,
  needed,
  optional,
  type Reader,
  inline,
  isObject,
  record,
  signed32,
  signed64,
  text,
  unsigned16,
  unsigned32,
  unsigned64,
} from './json-readers.ts';

const MAX_ARGUMENTS = 32_768;
const MAX_GROUPS = 65_536;
const MAX_HOOKS = 64;
const MAX_ID = 2 ** 31 - 1;

/** The greatest number of 32 bits would mean to the kernel: stay who you are. */
const identity: Reader<number> = (value, path) => {
  const id = unsigned32(value, path);
  if (id > MAX_ID) throw invalid(path, `uids and gids must be in range 0-${MAX_ID}`);
  return id;
};

const user = record<SpecUser>({
  uid: needed(identity),
  gid: needed(identity),
  umask: optional(unsigned32),
  additionalGids: optional(list(identity, MAX_GROUPS)),
  username: optional(text),
});

const capability: Reader<string> = (value, path) => {
  const name = text(value, path);
  if (capabilityNumber(name) === undefined) throw invalid(path, `unknown capability ${JSON.stringify(name)}`);
  return name;
};
const capabilities = optional(list(capability));

/** `process` may leave out its user, which is root then. */
const userOrRoot: Reader<SpecUser> = (value, path) =>
  user(isObject(value) ? { uid: 0, gid: 0, ...value } : value, path);

const processOf = record<SpecProcess>({
  terminal: optional(flag),
  consoleSize: optional(inline({ height: needed(unsigned16), width: needed(unsigned16) })),
  user: needed(userOrRoot),
  args: needed(list(text, MAX_ARGUMENTS)),
  env: optional(list(text, MAX_ARGUMENTS)),
  cwd: needed(text),
  capabilities: optional(
    inline({
      bounding: capabilities,
      effective: capabilities,
      inheritable: capabilities,
      permitted: capabilities,
      ambient: capabilities,
    }),
  ),
  rlimits: optional(list(inline({ type: needed(text), hard: needed(unsigned64), soft: needed(unsigned64) }))),
  noNewPrivileges: optional(flag),
  apparmorProfile: optional(text),
  oomScoreAdj: optional(signed32),
  selinuxLabel: optional(text),
  ioPriority: optional(inline({ class: needed(text), priority: needed(signed32) })),
  scheduler: optional(
    inline({
      policy: needed(text),
      nice: optional(signed32),
      priority: optional(signed32),
      flags: optional(list(text)),
      runtime: optional(unsigned64),
      deadline: optional(unsigned64),
      period: optional(unsigned64),
    }),
  ),
  execCPUAffinity: optional(inline({ initial: optional(text), final: optional(text) })),
});

/** Every process of a container: that of `config.json` and those of execs. */
export const readProcess: Reader<SpecProcess> = (value, path) => {
  const given = isObject(value) ? { user: {}, ...value } : value;
  const process = processOf(given, path);
  if (process.args.length === 0) throw invalid(`${path}.args`, 'args must not be empty');
  if (!process.cwd.startsWith('/')) throw invalid(`${path}.cwd`, 'Cwd must be an absolute path');
  checkScheduler(process, path);
  return process;
};

function checkScheduler({ scheduler }: SpecProcess, path: string): void {
  if (scheduler === undefined) return;
  const { policy, nice = 0, priority = 0, runtime, deadline, period } = scheduler;
  const at = `${path}.scheduler`;
  if (nice < -20 || nice > 19) throw invalid(`${at}.nice`, `invalid scheduler.nice: ${nice}`);
  if (priority !== 0 && policy !== 'SCHED_FIFO' && policy !== 'SCHED_RR') {
    throw invalid(`${at}.priority`, 'can only be specified for SCHED_FIFO or SCHED_RR');
  }
  if (policy !== 'SCHED_DEADLINE' && (runtime || deadline || period)) {
    throw invalid(at, 'runtime, deadline and period can only be specified for SCHED_DEADLINE');
  }
}

const hook: Reader<SpecHook> = (value, path) => {
  const given = record<SpecHook>({
    path: needed(text),
    args: optional(list(text, MAX_ARGUMENTS)),
    env: optional(list(text, MAX_ARGUMENTS)),
    timeout: optional(signed64),
  })(value, path);
  if (!given.path.startsWith('/')) throw invalid(`${path}.path`, 'must be an absolute path');
  if (given.timeout !== undefined && given.timeout <= 0) {
    throw invalid(`${path}.timeout`, 'must be greater than zero');
  }
  return given;
};
const hooks = optional(list(hook, MAX_HOOKS));

export const readHooks = record<SpecHooks>({
  prestart: hooks,
  createRuntime: hooks,
  createContainer: hooks,
  startContainer: hooks,
  poststart: hooks,
  poststop: hooks,
});
