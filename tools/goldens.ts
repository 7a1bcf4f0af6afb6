/**
 * `npm run goldens [-- GROUP…] [--verbose] [--keep FILE]`: runs the recorded commands with the real docker
 * CLI against a daemon of its own and prints, per group, how many results are equal, accepted or different.
 * Ends with 1 below a floor.
 */
import { chmod, copyFile, mkdir, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { compareGroups, judge, type GroupCount, type Result } from '../test/goldens/compare.ts';
import { normalize } from '../test/goldens/normalize.ts';
import { must, run } from '../test/support/command.ts';
import { startDaemon, type TestDaemon } from '../test/support/daemon.ts';

const REFERENCE = join(import.meta.dirname, '../test/reference/goldens');
const GOLDENS = join(import.meta.dirname, '../test/goldens');
/** The recorded outputs name this folder. */
const WORK = '/tmp/golden-work';
const RECORDED_FILE_BYTES = 2_065_328;
const RECORDED_ARCHIVE_BYTES = 2_222_080;
const MEASURED_GROUPS = [
  'run',
  'runerr',
  'life',
  'exec',
  'logs',
  'ps',
  'inspect',
  'images',
  'system',
  'events',
  'netnone',
  'ports',
  'update',
  'restart',
  'volume',
  'net',
  'cp',
  'registry',
];

interface Step {
  readonly group: string;
  readonly id?: string;
  readonly cmd?: string;
  readonly norm?: string;
  readonly t?: string;
  readonly stdin?: string;
  readonly setup?: string;
  readonly clean?: string;
}

async function readLines<T>(file: string): Promise<T[]> {
  const text = await readFile(file, 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as T);
}

const CLEAN =
  'docker rm -f -v $(docker ps -aq) ; docker volume rm $(docker volume ls -q); docker network prune -f';

interface Shell {
  readonly daemon: TestDaemon;
  readonly exec: (
    command: string,
    options?: { stdin?: string; seconds?: number },
  ) => Promise<{ exit: number; stdout: string; stderr: string }>;
}

/**
 * Commands run where the daemon runs: in its network namespace, in the work folder, with a bare environment.
 */
function shellFor(daemon: TestDaemon): Shell {
  const environment = [
    `PATH=${WORK}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
    ...[`HOME=${WORK}/home`, `DOCKER_CONFIG=${WORK}/cfg`, `DOCKER_HOST=${daemon.host}`],
    ...['LANG=C', 'TZ=UTC', 'DOCKER_CLI_HINTS=false', 'NO_COLOR=1', 'TERM=dumb'],
  ];
  return {
    daemon,
    exec: (command, options = {}) => {
      const seconds = String(options.seconds ?? 60);
      const line = `cd ${WORK} || exit 97\n${command}`;
      const args = [
        `--net=/run/netns/${daemon.name}`,
        '--',
        'env',
        '-i',
        ...environment,
        'timeout',
        '-k',
        '5',
        seconds,
        'sh',
        '-c',
        line,
      ];
      return run('nsenter', args, {
        timeoutMs: (Number(seconds) + 10) * 1000,
        ...(options.stdin !== undefined && { input: options.stdin }),
      });
    },
  };
}

/**
 * Sizes are part of the recorded results, and every distribution's busybox has another one. Zeros behind a
 * program or behind an archive mean nothing, so the image gets the recorded size.
 */
async function growTo(path: string, sizeBytes: number): Promise<void> {
  if ((await stat(path)).size < sizeBytes) await truncate(path, sizeBytes);
}

/** The image that every case uses, and the files that cases name. */
async function prepareWork(shell: Shell): Promise<void> {
  await rm(WORK, { recursive: true, force: true });
  for (const folder of [
    'bin',
    'home',
    'cfg',
    'ctx',
    'root/bin',
    'root/etc',
    'root/tmp',
    'root/root',
    'bind',
    'dir/sub',
  ]) {
    await mkdir(join(WORK, folder), { recursive: true });
  }
  const root = join(WORK, 'root');
  const program = join(root, 'bin/busybox');
  await copyFile('/usr/bin/busybox', program);
  await chmod(program, 0o755);
  const listed = (await must('/usr/bin/busybox', ['--list'])).trim().split('\n');
  const applets = listed.filter((applet) => applet !== 'busybox');
  for (const applet of applets) await symlink('busybox', join(root, 'bin', applet));
  const users = [
    'root:x:0:0:root:/root:/bin/sh',
    'daemon:x:1:1:daemon:/:/bin/false',
    'nobody:x:65534:65534:nobody:/:/bin/false',
  ];
  await writeFile(join(root, 'etc/passwd'), `${users.join('\n')}\n`);
  const groups = 'root:x:0:\ndaemon:x:1:\nnogroup:x:65534:\n';
  await writeFile(join(root, 'etc/group'), groups);
  // Symbolic links count with what they say.
  const rest = Buffer.byteLength(`${users.join('\n')}\n${groups}`) + applets.length * 'busybox'.length;
  await growTo(program, RECORDED_FILE_BYTES - rest);
  await chmod(join(root, 'tmp'), 0o1777);
  const fixed = ['--sort=name', '--mtime=2024-01-01 00:00:00Z', '--owner=0', '--group=0', '--numeric-owner'];
  await must('tar', ['-C', root, ...fixed, '-cf', join(WORK, 'busybox.tar'), '.']);
  await growTo(join(WORK, 'busybox.tar'), RECORDED_ARCHIVE_BYTES);
  await rm(root, { recursive: true });
  const files = {
    envfile: 'A=1\nB=two words\n# comment\nHOME\nNOTSET\n',
    labelfile: 'lab1=v1\nlab2=v 2\n',
    'hello.txt': 'hello file\n',
    'bind/f': 'bound\n',
    'dir/sub/f': 'in-sub\n',
    'garbage.tar': 'not a tar',
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(WORK, name), text);
  const imported = await shell.exec(
    "docker import -c 'CMD [\"sh\"]' -c 'ENV PATH=/bin' busybox.tar busybox:latest",
  );
  if (imported.exit !== 0) throw new Error(`import of the image failed: ${imported.stderr}`);
}

async function runSteps(shell: Shell, steps: readonly Step[]): Promise<Map<string, Result>> {
  const results = new Map<string, Result>();
  const options = {
    dataRoot: shell.daemon.dataRoot,
    execRoot: shell.daemon.execRoot,
    dockerHost: shell.daemon.host,
  };
  for (const step of steps) {
    if (step.clean !== undefined) await shell.exec(CLEAN);
    if (step.setup !== undefined) {
      const answer = await shell.exec(step.setup);
      if (answer.exit !== 0) process.stderr.write(`setup failed (${answer.exit}): ${step.setup}\n`);
    }
    if (step.id === undefined || step.cmd === undefined) continue;
    const answer = await shell.exec(step.cmd, {
      ...(step.stdin !== undefined && { stdin: step.stdin }),
      ...(step.t !== undefined && { seconds: Number(step.t) }),
    });
    const kinds = (step.norm ?? '').split(' ').filter((kind) => kind !== '');
    const stdout = normalize(answer.stdout, { ...options, kinds });
    const stderr = normalize(answer.stderr, { ...options, kinds });
    results.set(step.id, { id: step.id, cmd: step.cmd, exit: answer.exit, stdout, stderr });
  }
  return results;
}

function print(counts: readonly GroupCount[], verbose: boolean): void {
  for (const count of counts) {
    if (verbose) {
      for (const difference of count.different) {
        process.stdout.write(`== ${difference.id}: ${difference.cmd}\n`);
        for (const field of difference.fields) {
          process.stdout.write(
            `  ${field.name}\n    want ${JSON.stringify(field.want)}\n    got  ${JSON.stringify(field.got)}\n`,
          );
        }
      }
    }
  }
  process.stdout.write('group      comparable  equal  accepted  different  equal %\n');
  for (const count of counts) {
    const percent = ((count.equal / Math.max(1, count.comparable)) * 100).toFixed(1);
    const cells = [count.comparable, count.equal, count.accepted, count.different.length, percent];
    const widths = [10, 6, 9, 10, 8];
    process.stdout.write(
      `${count.group.padEnd(10)} ${cells.map((c, i) => String(c).padStart(widths[i] ?? 8)).join(' ')}\n`,
    );
  }
}

/**
 * The work folder has one name for all runs on a machine: the second one waits until the first one's process
 * is gone.
 */
async function takeWork(): Promise<void> {
  const lock = `${WORK}.pid`;
  for (;;) {
    const taken = await writeFile(lock, String(process.pid), { flag: 'wx' }).then(
      () => true,
      () => false,
    );
    if (taken) return;
    const holder = (await readFile(lock, 'utf8').catch(() => '')).trim();
    if (!existsSync(`/proc/${holder || 'none'}`)) await rm(lock, { force: true });
    else await sleep(1000);
  }
}

/**
 * Runs the steps against a daemon of their own; what the daemon leaves behind is told, not thrown, so that
 * the table is printed.
 */
async function record(
  steps: readonly Step[],
): Promise<{ results: Map<string, Result>; leaks: readonly string[] }> {
  let results = new Map<string, Result>();
  await takeWork();
  try {
    await using daemon = await startDaemon({ cgroupParent: null });
    const shell = shellFor(daemon);
    await prepareWork(shell);
    results = await runSteps(shell, steps);
    await shell.exec(CLEAN);
    await rm(WORK, { recursive: true, force: true });
  } catch (error) {
    if (results.size === 0) throw error;
    return { results, leaks: [error instanceof Error ? error.message : String(error)] };
  } finally {
    await rm(`${WORK}.pid`, { force: true });
  }
  return { results, leaks: [] };
}

/** Recorded alone: images that other groups commit would keep its own from being removed. */
const ALONE = 'registry';

async function recordAll(steps: readonly Step[]): ReturnType<typeof record> {
  const [together, alone] = [
    steps.filter((step) => step.group !== ALONE),
    steps.filter((step) => step.group === ALONE),
  ];
  const results = new Map<string, Result>();
  const leaks: string[] = [];
  for (const part of [together, alone].filter((some) => some.length > 0)) {
    const recorded = await record(part);
    for (const [id, result] of recorded.results) results.set(id, result);
    leaks.push(...recorded.leaks);
  }
  return { results, leaks };
}

/** The group of registries talks to a real one. */
function canRun(group: string): boolean {
  if (group !== ALONE || existsSync('/usr/bin/docker-registry')) return true;
  process.stdout.write(
    'registry: skipped, there is no docker-registry here (apt-get install docker-registry)\n',
  );
  return false;
}

async function main(args: readonly string[]): Promise<number> {
  const wanted = args.filter((arg) => !arg.startsWith('-'));
  const groups = (wanted.length > 0 ? wanted : MEASURED_GROUPS).filter(canRun);
  const steps = (await readLines<Step>(join(REFERENCE, 'steps.jsonl'))).filter((step) =>
    groups.includes(step.group),
  );
  const recorded = await readLines<Result>(join(REFERENCE, 'results.jsonl'));
  const notComparable = JSON.parse(
    await readFile(join(REFERENCE, 'not-comparable.json'), 'utf8'),
  ) as string[];
  const accepted = JSON.parse(await readFile(join(GOLDENS, 'accepted.json'), 'utf8')) as Record<
    string,
    string
  >;
  const floors = JSON.parse(await readFile(join(GOLDENS, 'floors.json'), 'utf8')) as Record<string, number>;
  const { results, leaks } = await recordAll(steps);
  const counts = compareGroups({
    recorded,
    results,
    notComparable: new Set(notComparable),
    accepted,
    groups,
  });
  print(counts, args.includes('--verbose'));
  const complaints = [...leaks, ...judge(counts, floors)];
  for (const complaint of complaints) process.stdout.write(`${complaint}\n`);
  return complaints.length === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
