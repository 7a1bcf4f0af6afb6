/**
 * A root in the container that lies in wait for what enters: the engine's program stays as it is, nothing of
 * the host is left open in it, and a working directory by descriptor number leads nowhere (CVE-2024-21626).
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run, until } from '../../support/command.ts';
import { startDaemon, type TestDaemon } from '../../support/daemon.ts';
import { OWN_RUNTIME } from '#runtime/runtimes.ts';
import { busyboxArchive } from '../../support/images.ts';

const SHIM = fileURLToPath(new URL('../../../dist/native/gantry-shim', import.meta.url));
const EXECS = 25;
let folder = '';
let daemon: TestDaemon | undefined;

const digest = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

function engine(): TestDaemon {
  assert.ok(daemon);
  return daemon;
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gt-attacker-'));
  const source = fileURLToPath(new URL('attacker.c', import.meta.url));
  execFileSync('musl-gcc', ['-static', '-O1', '-o', join(folder, 'attacker'), source]);
  // Our own launcher, whatever runtime other tests are asked to use: its rules are what is tried here.
  daemon = await startDaemon({ config: { 'default-runtime': OWN_RUNTIME } });
  await daemon.loadImage((await busyboxArchive()).archive);
});
after(async () => {
  await daemon?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

function mustDocker(words: readonly string[]): Promise<string> {
  return engine().mustDocker(words);
}

/** From outside: a further process may be held up by the one that lies in wait. */
async function stop(id: string): Promise<void> {
  const pid = await mustDocker(['inspect', '-f', '{{.State.Pid}}', id]);
  writeFileSync(`/proc/${pid}/root/stop`, '');
  await mustDocker(['wait', id]);
}

async function attack(flags: readonly string[], mode: string): Promise<string> {
  const volume = ['-v', `${folder}/attacker:/attacker:ro`];
  const id = await mustDocker(['run', '-d', ...flags, ...volume, 'busybox', '/attacker', mode]);
  const logs = (): Promise<string> => mustDocker(['logs', id]);
  await until(async () => ((await logs()).includes('ready') ? true : undefined), { what: 'the attacker' });
  for (let i = 0; i < EXECS; i++) {
    const result = await engine().docker(['exec', id, 'true']);
    // One that is traced, as every program of the container may be, is held up or ended; never more than
    // that.
    if (mode !== 'trace') assert.equal(result.exit, 0, result.stderr);
  }
  await stop(id);
  const output = await logs();
  await mustDocker(['rm', '-f', id]);
  return output;
}

describe('a root in the container that lies in wait', () => {
  for (const flags of [
    [],
    ['--privileged'],
    ['--cap-add', 'SYS_PTRACE', '--security-opt', 'seccomp=unconfined'],
  ]) {
    const name = flags.length === 0 ? 'without privileges' : flags.join(' ');
    test(`cannot change the program: ${name}`, { timeout: 120_000 }, async () => {
      const before = digest(SHIM);
      const output = await attack(flags, 'overwrite');
      assert.doesNotMatch(output, /wrote|truncated|descriptor/);
      assert.equal(digest(SHIM), before);
      // And the engine still works.
      assert.equal(await mustDocker(['run', '--rm', 'busybox', 'echo', 'works']), 'works');
    });
  }

  test('neither traces what enters nor sees its descriptors', { timeout: 120_000 }, async () => {
    const output = await attack([], 'trace');
    assert.doesNotMatch(output, /descriptor|wrote|truncated/);
    const traced = output.split('\n').filter((line) => line.startsWith('traced'));
    assert.deepEqual(
      traced.filter((line) => !/^traced (\/bin\/.*|\/attacker)?$/.test(line)),
      [],
    );
  });
});

/** The numbers of all file systems that the host has mounted: its procfs is one of them. */
function hostSystems(): string {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').trim().split('\n');
  return [...new Set(lines.map((line) => line.split(' ')[2]))].join(',');
}

describe('a container that lies in wait for those that share its pids', () => {
  const traces = ['--cap-add', 'SYS_PTRACE', '--security-opt', 'seccomp=unconfined'];
  for (const mode of ['overwrite', 'trace']) {
    test(`none is seen or traced while it is on the host: ${mode}`, { timeout: 120_000 }, async () => {
      const secret = join(folder, 'secret');
      writeFileSync(secret, 'secret\n');
      const volume = ['-v', `${folder}/attacker:/attacker:ro`];
      const run = ['run', '-d', ...traces, ...volume, 'busybox', '/attacker', mode];
      const id = await mustDocker([...run, secret, hostSystems()]);
      const logs = (): Promise<string> => mustDocker(['logs', id]);
      await until(async () => ((await logs()).includes('ready') ? true : undefined), {
        what: 'the attacker',
      });
      const sharing = ['run', '--rm', '--pid', `container:${id}`, 'busybox'];
      for (let i = 0; i < EXECS; i++) {
        const result = await engine().docker([...sharing, 'echo', 'inside']);
        if (mode !== 'trace') assert.deepEqual([result.exit, result.stdout], [0, 'inside\n'], result.stderr);
      }
      await stop(id);
      // What is open then is its own container's; the files and the file systems of the host are not.
      assert.doesNotMatch(await logs(), /host|wrote|truncated/);
      await mustDocker(['rm', '-f', id]);
    });
  }

  test('a process among them has its own terminal, session, /proc and what is mounted in it', async () => {
    writeFileSync(join(folder, 'uptime'), 'emulated\n');
    const id = await mustDocker(['run', '-d', 'busybox', 'sleep', '300']);
    const look = [
      'head -c 5 /proc/1/cmdline; echo',
      'cat /proc/uptime /proc/$$/comm',
      'cut -d" " -f6 /proc/$$/stat | grep -cx $$',
      // No pipe here: the shell would have its ends open for a moment.
      'ls /proc/$$/fd',
      '(echo >/proc/sys/kernel/domainname) 2>&1 | grep -c Read-only',
    ].join('; ');
    const share = ['--pid', `container:${id}`, '-v', `${folder}/uptime:/proc/uptime:ro`, '--read-only'];
    const said = await mustDocker(['run', '--rm', ...share, 'busybox', 'sh', '-c', look]);
    assert.equal(said, 'sleep\nemulated\nsh\n1\n0\n1\n2\n1');
    const words = `docker -H ${engine().host} run --rm -it ${share.join(' ')} busybox sh -c 'tty; exit 4'`;
    const terminal = await run('script', ['-qec', words, '/dev/null'], { input: '' });
    assert.equal(terminal.exit, 4, terminal.stdout);
    assert.match(terminal.stdout, /\/dev\/pts\/0\r?$/m);
    await mustDocker(['rm', '-f', id]);
  });
});

describe('nothing of the host stays open', () => {
  const open = 'ls /proc/$$/fd; true';
  const streams = '0\n1\n2';
  for (const flags of [[], ['--privileged']]) {
    test(`in a container and in an exec ${flags.join('')}`, async () => {
      const run = ['run', '--rm', ...flags, 'busybox', 'sh', '-c', open];
      assert.equal(await mustDocker(run), streams);
      const id = await mustDocker(['run', '-d', ...flags, 'busybox', 'sleep', '300']);
      assert.equal(await mustDocker(['exec', id, 'sh', '-c', open]), streams);
      await mustDocker(['rm', '-f', id]);
    });
  }

  test('no capability is inheritable, in no way to start something', async () => {
    const look = [
      'sh',
      '-c',
      'grep -E "Cap(Inh|Amb)" /proc/self/status | sort | uniq | cut -f2 | tr "\\n" " "',
    ];
    const none = '0000000000000000 0000000000000000';
    const start = ['--cap-add', 'NET_ADMIN', 'busybox'];
    const id = await mustDocker(['run', '-d', ...start, 'sleep', '300']);
    for (const user of ['0', '1000']) {
      assert.equal(await mustDocker(['run', '--rm', '-u', user, ...start, ...look]), none);
      assert.equal(await mustDocker(['exec', '-u', user, id, ...look]), none);
    }
    assert.equal(await mustDocker(['exec', '--privileged', id, ...look]), none);
    await mustDocker(['rm', '-f', id]);
  });

  test('a working directory by descriptor number is none of the host', { timeout: 120_000 }, async () => {
    const id = await mustDocker(['run', '-d', 'busybox', 'sleep', '300']);
    writeFileSync(join(folder, 'secret'), 'secret\n');
    for (let fd = 3; fd < 20; fd++) {
      for (const path of [`/proc/self/fd/${fd}`, `/proc/self/fd/${fd}/../../..`]) {
        const look = [
          'sh',
          '-c',
          `cat ..${folder}/secret ../..${folder}/secret ../../..${folder}/secret; pwd`,
        ];
        const started = await engine().docker(['run', '--rm', '-w', path, 'busybox', ...look]);
        assert.doesNotMatch(started.stdout, /secret/, path);
        const entered = await engine().docker(['exec', '-w', path, id, ...look]);
        assert.doesNotMatch(entered.stdout, /secret/, path);
        assert.notEqual(entered.exit, 0, `${path}: ${entered.stdout}`);
      }
    }
    await mustDocker(['rm', '-f', id]);
  });
});

/** What root mounts over /proc and /dev, and takes away again, while something enters. */
const COVER = `mkdir -p /fake/self/attr /fake/sys/net/ipv4 /fake/pts
for name in self/attr/exec self/attr/current self/oom_score_adj sys/net/ipv4/ip_forward \\
  pts/ptmx pts/0 null; do
  echo untouched >/fake/$name; done
echo ready
while [ ! -e /stop ]; do
  mount --bind /fake /proc; mount --bind /fake /dev; umount /dev; umount /proc
done; cat /fake/*/*/* /fake/pts/* /fake/null /fake/sys/net/ipv4/* 2>/dev/null | sort | uniq`;

describe('mounts of the container over /proc and /dev while something enters', { timeout: 90_000 }, () => {
  test('a further process starts or is refused, and writes into none of them', async () => {
    const id = await mustDocker(['run', '-d', '--privileged', 'busybox', 'sh', '-c', COVER]);
    await until(async () => ((await mustDocker(['logs', id])).includes('ready') ? true : undefined), {
      what: 'the mounts',
    });
    const score = readFileSync('/proc/self/oom_score_adj', 'utf8');
    let started = 0;
    for (let i = 0; i < EXECS; i++) {
      const flags = i % 2 === 0 ? ['--privileged'] : ['-u', '1000'];
      const { exit, stdout, stderr } = await engine().docker(['exec', ...flags, id, 'echo', 'inside']);
      if (exit === 0) started += 1;
      if (exit === 0) assert.equal(stdout.trim(), 'inside');
      else assert.match(stderr, /unable to start container process: /);
    }
    assert.ok(started > 0, 'not one has started');
    await stop(id);
    assert.equal(await mustDocker(['logs', id]), 'ready\nuntouched');
    assert.equal(readFileSync('/proc/self/oom_score_adj', 'utf8'), score);
    await mustDocker(['rm', '-f', id]);
  });

  test('a terminal comes from no file of the container', async () => {
    const id = await mustDocker(['run', '-d', '--privileged', 'busybox', 'sleep', '300']);
    const cover =
      'mkdir /fake; echo untouched >/fake/ptmx; echo untouched >/fake/0; mount --bind /fake /dev/pts';
    await mustDocker(['exec', id, 'sh', '-c', cover]);
    const words = `docker -H ${engine().host} exec -it ${id} tty`;
    const { exit, stdout, stderr } = await run('script', ['-qec', words, '/dev/null'], { input: '' });
    assert.notEqual(exit, 0);
    assert.match(stdout + stderr, /failed to create a terminal/);
    assert.equal(await mustDocker(['exec', id, 'cat', '/fake/ptmx', '/fake/0']), 'untouched\nuntouched');
    await mustDocker(['rm', '-f', id]);
  });
});
