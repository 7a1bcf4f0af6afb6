import type { Flag } from './flags.ts';

export interface Command {
  readonly name: string;
  readonly summary: string;
  readonly arguments: string;
  readonly details: string;
  readonly flags: readonly Flag[];
  readonly words: { readonly min: number; readonly max: number };
  /** What follows the container's id is another program's command line. */
  readonly wordsEnd?: boolean;
}

const text = (name: string, value: string, help: string): Flag => ({ name, kind: 'text', value, help });
const number = (name: string, help: string): Flag => ({ name, kind: 'number', value: 'N', help });
const on = (name: string, help: string): Flag => ({ name, kind: 'switch', help });
const list = (name: string, value: string, help: string): Flag => ({ name, kind: 'list', value, help });
const short = (letter: string, flag: Flag): Flag => ({ ...flag, short: letter });

const ONE = { min: 1, max: 1 };

export const GLOBAL_FLAGS: readonly Flag[] = [
  on('debug', 'write debug messages, too'),
  text('log', 'FILE', 'append messages to this file instead of standard error'),
  text('log-format', 'text|json', 'form of the messages (text)'),
  text('root', 'DIR', 'where the state of containers is kept; a tmpfs (/run/gantry-oci)'),
  text('criu', 'PATH', 'taken and not used: there is no checkpoint'),
  on('systemd-cgroup', 'refused: cgroups are made directly'),
  text('rootless', 'true|false|auto', 'taken and not used: cgroups need their permissions'),
  short('h', on('help', 'show this text')),
  short('v', on('version', 'show the version')),
];

const BUNDLE = short('b', text('bundle', 'DIR', 'directory with config.json (the working directory)'));
const CONSOLE_SOCKET = text('console-socket', 'PATH', 'unix socket that is sent the terminal');
const PID_FILE = text('pid-file', 'FILE', 'write the process id to this file');
const PRESERVE = number('preserve-fds', 'descriptors after the standard streams that the process keeps (0)');

const MAKING: readonly Flag[] = [
  BUNDLE,
  CONSOLE_SOCKET,
  PID_FILE,
  on('no-pivot', 'chroot instead of pivot_root, for roots on an initial ramdisk'),
  on('no-new-keyring', 'keep the session keyring of the caller'),
  PRESERVE,
];

const FORMAT = short('f', text('format', 'table|json', 'form of the output (table)'));

const EXEC_FLAGS: readonly Flag[] = [
  CONSOLE_SOCKET,
  text('cwd', 'DIR', 'working directory inside of the container'),
  short('e', list('env', 'NAME=VALUE', 'add a variable to the environment')),
  short('t', on('tty', 'with a terminal')),
  short('u', text('user', 'UID[:GID]', 'run as this user')),
  short('g', list('additional-gids', 'GID', 'one more group')),
  short('p', text('process', 'FILE', 'JSON file with the whole process')),
  short('d', on('detach', 'do not wait for the process')),
  PID_FILE,
  text('process-label', 'LABEL', 'SELinux label of the process'),
  text('apparmor', 'PROFILE', 'AppArmor profile of the process'),
  on('no-new-privs', 'set no_new_privs'),
  short('c', list('cap', 'CAPABILITY', 'one more capability')),
  PRESERVE,
  text('cgroup', 'PATH', 'refused: the process always joins the cgroup of the container'),
  on('ignore-paused', 'also into a paused container: the process starts when it is resumed'),
];

const UPDATE_FLAGS: readonly Flag[] = [
  short(
    'r',
    text('resources', 'FILE', 'JSON file with the resources, - for standard input; other flags are ignored'),
  ),
  number('blkio-weight', 'weight of block I/O, 10 to 1000'),
  number('cpu-period', 'CFS period in microseconds'),
  number('cpu-quota', 'CFS quota in microseconds per period'),
  number('cpu-share', 'relative weight of CPU time'),
  number('cpu-rt-period', 'realtime period in microseconds'),
  number('cpu-rt-runtime', 'realtime runtime in microseconds'),
  text('cpuset-cpus', 'LIST', 'processors to use'),
  text('cpuset-mems', 'LIST', 'memory nodes to use'),
  text('memory', 'BYTES', 'limit of memory'),
  text('memory-reservation', 'BYTES', 'soft limit of memory'),
  text('memory-swap', 'BYTES', 'limit of memory and swap together, -1 for none'),
  number('pids-limit', 'limit of processes and threads'),
];

export const COMMANDS: readonly Command[] = [
  {
    name: 'create',
    summary: 'make a container of a bundle; its process waits for start',
    arguments: 'CONTAINER',
    details: 'The namespaces, mounts and cgroups of config.json are made. The process that it names waits.',
    flags: MAKING,
    words: ONE,
  },
  {
    name: 'start',
    summary: 'let the process of a created container go',
    arguments: 'CONTAINER',
    details: 'Fails when the container was started already.',
    flags: [],
    words: ONE,
  },
  {
    name: 'state',
    summary: 'show the state of a container as JSON',
    arguments: 'CONTAINER',
    details: 'The state has the members of the OCI runtime specification.',
    flags: [],
    words: ONE,
  },
  {
    name: 'kill',
    summary: 'send a signal to the main process of a container',
    arguments: 'CONTAINER [SIGNAL]',
    details: 'The signal is a name or a number; SIGTERM when none is given.',
    flags: [short('a', on('all', 'to every process of the container'))],
    words: { min: 1, max: 2 },
  },
  {
    name: 'delete',
    summary: 'remove what a stopped container has left',
    arguments: 'CONTAINER',
    details: 'Its cgroups and its state go, and the poststop hooks run.',
    flags: [short('f', on('force', 'kill it first; nothing there is no error'))],
    words: ONE,
  },
  {
    name: 'run',
    summary: 'create, start, wait and delete',
    arguments: 'CONTAINER',
    details: 'In the foreground signals are handed on, and the exit code is that of the process.',
    flags: [
      ...MAKING,
      short('d', on('detach', 'do not wait for the process')),
      on('keep', 'do not delete the container when its process has ended'),
      on('no-subreaper', 'do not become the parent of what the container leaves behind'),
    ],
    words: ONE,
  },
  {
    name: 'exec',
    summary: 'run one more process in a container',
    arguments: 'CONTAINER COMMAND [ARGUMENT...]',
    details: 'With --process no command is given. An error of this program ends it with 255.',
    flags: EXEC_FLAGS,
    words: { min: 1, max: Number.POSITIVE_INFINITY },
    wordsEnd: true,
  },
  {
    name: 'pause',
    summary: 'freeze all processes of a container',
    arguments: 'CONTAINER',
    details: 'By the freezer cgroup.',
    flags: [],
    words: ONE,
  },
  {
    name: 'resume',
    summary: 'let a frozen container go on',
    arguments: 'CONTAINER',
    details: 'Fails when it is not paused.',
    flags: [],
    words: ONE,
  },
  {
    name: 'update',
    summary: 'change the limits of a container',
    arguments: 'CONTAINER',
    details:
      'A file of resources has the form of linux.resources in config.json; what it does not name stays as it is.',
    flags: UPDATE_FLAGS,
    words: ONE,
  },
  {
    name: 'ps',
    summary: 'show the processes of a container',
    arguments: 'CONTAINER [PS-OPTION...]',
    details: "A table has the columns that the host's ps prints for these options (-ef).",
    flags: [FORMAT],
    words: { min: 1, max: Number.POSITIVE_INFINITY },
    wordsEnd: true,
  },
  {
    name: 'list',
    summary: 'show the containers of this root',
    arguments: '',
    details: 'Containers of another --root are not seen.',
    flags: [FORMAT, short('q', on('quiet', 'ids only'))],
    words: { min: 0, max: 0 },
  },
  {
    name: 'events',
    summary: 'print what a container uses, and when it ran out of memory',
    arguments: 'CONTAINER',
    details: 'One line of JSON for each event, until the container ends.',
    flags: [
      text('interval', 'DURATION', 'time between two measurements (5s)'),
      on('stats', 'print one measurement and end'),
    ],
    words: ONE,
  },
  {
    name: 'spec',
    summary: 'write a config.json to begin with',
    arguments: '',
    details: 'It runs sh below rootfs. An existing file is not touched.',
    flags: [BUNDLE, on('rootless', 'for somebody who is not root')],
    words: { min: 0, max: 0 },
  },
  {
    name: 'features',
    summary: 'show what this runtime can do, as JSON',
    arguments: '',
    details: 'The form is that of the OCI runtime specification.',
    flags: [],
    words: { min: 0, max: 0 },
  },
];
