import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import type { TestDaemon } from '../support/daemon.ts';
import { e2e } from '../support/e2e.ts';
import { findLeaks } from '../support/leaks.ts';
import { USES_OWN_RUNTIME } from '../support/runtimes.ts';
import { imageArchive, tarOf } from '../support/images.ts';

const HELP = "\n\nRun 'docker run --help' for more information\n";
const INIT =
  'failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: ' +
  'unable to start container process: error during container init: ';

/** Arguments of `run` → exit code and standard error, as the reference gives them. */
const REFUSED: readonly (readonly [string[], number, string])[] = [
  [['BadRef'], 125, 'docker: invalid reference format: repository name (library/BadRef) must be lowercase'],
  [
    ['--name', 'a b', 'busybox', 'true'],
    125,
    'docker: Error response from daemon: Invalid container name (a b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed',
  ],
  [
    ['--rm', 'busybox', 'nosuchcmd'],
    127,
    `docker: Error response from daemon: ${INIT}exec: "nosuchcmd": executable file not found in $PATH`,
  ],
  [
    ['--rm', 'busybox', '/etc/passwd'],
    126,
    `docker: Error response from daemon: ${INIT}exec: "/etc/passwd": permission denied`,
  ],
  [
    ['--rm', 'busybox', '/tmp'],
    126,
    `docker: Error response from daemon: ${INIT}exec: "/tmp": is a directory: permission denied`,
  ],
  [
    ['--mount', 'type=bind,src=/nosuchsrc,dst=/x', 'busybox'],
    125,
    'docker: Error response from daemon: invalid mount config for type "bind": bind source path does not exist: /nosuchsrc',
  ],
  [['--ipc', 'nope', 'busybox', 'true'], 125, 'docker: Error response from daemon: invalid IPC mode: nope'],
  [['--pid', 'nope', 'busybox', 'true'], 125, 'docker: --pid: invalid PID mode'],
  [
    ['-m', '5m', 'busybox', 'true'],
    125,
    'docker: Error response from daemon: Minimum memory limit allowed is 6MB',
  ],
  [['-p', '99999:80', 'busybox', 'true'], 125, 'docker: invalid hostPort: 99999'],
  [['-p', 'abc:80', 'busybox', 'true'], 125, 'docker: invalid hostPort: abc'],
  [
    ['--cap-add', 'nosuch', 'busybox', 'true'],
    125,
    'docker: Error response from daemon: invalid CapAdd: unknown capability: "CAP_NOSUCH"',
  ],
  [
    ['--rm', '-u', 'nosuchuser', 'busybox', 'true'],
    125,
    'docker: Error response from daemon: unable to find user nosuchuser: no matching entries in passwd file',
  ],
  [
    ['-v', '/a:b', 'busybox', 'true'],
    125,
    `docker: Error response from daemon: invalid volume specification: '/a:b': invalid mount config for type "bind": invalid mount path: 'b' mount path must be absolute`,
  ],
];

e2e('refusals of run: text, exit code, nothing left behind', {}, async (daemon) => {
  for (const [args, exit, text] of REFUSED) {
    const result = await daemon.docker(['run', ...args]);
    assert.deepEqual([result.exit, result.stderr], [exit, text + HELP], args.join(' '));
  }
  const missing = await daemon.docker(['run', '--pull', 'never', 'nosuch:1']);
  assert.equal(missing.exit, 125);
  assert.equal(missing.stderr, `docker: Error response from daemon: No such image: nosuch:1${HELP}`);
  for (const [size, why] of [
    ['5x', "invalid suffix: 'x'"],
    ['abc', "invalid size: 'abc'"],
  ]) {
    const memory = await daemon.docker(['run', '-m', `${size}`, 'busybox', 'true']);
    assert.equal(memory.exit, 125);
    assert.ok(memory.stderr.startsWith(`invalid argument "${size}" for "-m, --memory" flag: ${why}\n`));
  }
  assert.equal(await daemon.mustDocker(['ps', '-aq']), '');
});

e2e('a name that is taken, a port that is taken', {}, async (daemon) => {
  const id = await daemon.mustDocker([
    'run',
    '-d',
    '--name',
    'dup',
    '-p',
    '7070:80',
    'busybox',
    'sleep',
    '600',
  ]);
  const name = await daemon.docker(['run', '--name', 'dup', 'busybox', 'true']);
  assert.equal(name.exit, 125);
  const text = `The container name "/dup" is already in use by container "${id}". You have to remove (or rename) that container to be able to reuse that name.`;
  assert.equal(name.stderr, `docker: Error response from daemon: Conflict. ${text}${HELP}`);
  const port = await daemon.docker(['run', '--rm', '-p', '7070:81', 'busybox', 'true']);
  assert.equal(port.exit, 125);
  assert.match(port.stderr, /Bind for (0\.0\.0\.0|:::):7070 failed: port is already allocated/);
});

/** A process beside the daemon that holds a TCP port until it is disposed of. */
async function foreignListener(daemon: TestDaemon, port: number): Promise<AsyncDisposable> {
  const program = `require('node:net').createServer().listen(${port}, '0.0.0.0', () => console.log('up'))`;
  const network = `--net=/run/netns/${daemon.network}`;
  const child = spawn('nsenter', [network, '--', process.execPath, '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  await Promise.race([once(child.stdout, 'data'), closed]);
  return {
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await closed;
    },
  };
}

e2e('a port that a process of the host holds', {}, async (daemon) => {
  const run = ['run', '--rm', '-p', '7171:80', 'busybox', 'true'];
  {
    await using _ = await foreignListener(daemon, 7171);
    const taken = await daemon.docker(run);
    assert.equal(taken.exit, 125);
    const text = taken.stderr
      .replace(/endpoint \S+ \([0-9a-f]{64}\)/, 'endpoint NAME (ID)')
      .replace(/172\.\d+\.0\.2:/, 'ADDRESS:');
    const why =
      'driver failed programming external connectivity on endpoint NAME (ID): ' +
      'failed to bind host port for 0.0.0.0:7171:ADDRESS:80/tcp: address already in use';
    assert.equal(
      text,
      `docker: Error response from daemon: failed to set up container networking: ${why}${HELP}`,
    );
    assert.equal(await daemon.mustDocker(['ps', '-aq']), '');
    assert.deepEqual(await findLeaks(daemon), []);
  }
  assert.equal((await daemon.docker(run)).exit, 0);
});

const HOSTILE: readonly (readonly [string, Parameters<typeof tarOf>[0]])[] = [
  ['a path that climbs', [{ path: '../../../../tmp/CANARY/climbed', content: 'x' }]],
  ['an absolute path', [{ path: '/tmp/CANARY/absolute', content: 'x' }]],
  [
    'through a symbolic link',
    [
      { path: 'out', type: 'symlink', target: '/tmp/CANARY' },
      { path: 'out/through', content: 'x' },
    ],
  ],
  [
    'through a climbing symbolic link',
    [
      { path: 'up', type: 'symlink', target: '../../../../../../../../tmp/CANARY' },
      { path: 'up/through', content: 'x' },
    ],
  ],
];

e2e('a seccomp profile with a misspelled system call is refused at the start', {}, async (daemon) => {
  const profile = `${daemon.root}/seccomp.json`;
  const names = ['read', 'sysmips', 'no_such_call'];
  const syscalls = [{ names, action: 'SCMP_ACT_LOG' }];
  await writeFile(profile, JSON.stringify({ defaultAction: 'SCMP_ACT_ALLOW', syscalls }));
  const run = ['run', '--rm', '--security-opt', `seccomp=${profile}`, 'busybox', 'true'];
  const result = await daemon.docker(run);
  if (USES_OWN_RUNTIME) {
    assert.equal(result.exit, 125);
    const text = 'linux.seccomp.syscalls[0].names[2]: unknown system call "no_such_call"';
    assert.ok(result.stderr.includes(text), result.stderr);
  } else assert.equal(result.exit, 0, result.stderr);
  syscalls[0]?.names.pop();
  await writeFile(profile, JSON.stringify({ defaultAction: 'SCMP_ACT_ALLOW', syscalls }));
  assert.equal((await daemon.docker(run)).exit, 0);
});

/** Parts of a create request that pass until the start, and what the start says. */
const REFUSED_STARTS: readonly (readonly [object, RegExp])[] = [
  [{ Ulimits: [{ Name: 'nope', Soft: 1, Hard: 1 }] }, /process\.rlimits\[0\]\.type: invalid rlimit type/],
  [{ Tmpfs: { '/etc/passwd/x': '' } }, /mounts\[\d+\]\.destination: "\/etc\/passwd\/x": not a directory/],
  [{ Tmpfs: { '/one/x': '' } }, /mounts\[\d+\]\.destination: "\/one\/x": too many levels of symbolic/],
  [
    { Tmpfs: Object.fromEntries(Array.from({ length: 1100 }, (_, i) => [`/m${i}`, ''])) },
    /mounts\[\d+\]: needs more than 1024 open files/,
  ],
];

e2e(
  'what only the start can refuse is refused by its member, and nothing is left',
  { skip: USES_OWN_RUNTIME ? false : 'needs our own launcher' },
  async (daemon) => {
    await writeFile(
      `${daemon.root}/circle.tar`,
      tarOf([
        { path: 'one', type: 'symlink', target: 'two' },
        { path: 'two', type: 'symlink', target: 'one' },
        { path: 'etc/passwd', content: 'root:x:0:0:root:/root:/bin/sh\n' },
      ]),
    );
    await daemon.mustDocker(['import', `${daemon.root}/circle.tar`, 'circle']);
    const create = async (HostConfig: object): Promise<string> => {
      const body = { Image: 'circle', Cmd: ['/true'], HostConfig };
      const made = await daemon.api('/containers/create', { method: 'POST', body });
      assert.equal(made.status, 201, made.body.toString());
      return (made.json as { Id: string }).Id;
    };
    const refused = async (id: string): Promise<string> => {
      const answer = await daemon.api(`/containers/${id}/start`, { method: 'POST' });
      assert.ok(answer.status >= 400, String(answer.status));
      return (answer.json as { message: string }).message;
    };
    for (const [host, says] of REFUSED_STARTS) {
      const id = await create(host);
      assert.match(await refused(id), says);
      await daemon.mustDocker(['rm', id]);
      assert.deepEqual(await findLeaks(daemon), [], String(says));
    }
    const id = await create({});
    const lower = await daemon.mustDocker(['inspect', '-f', '{{.GraphDriver.Data.LowerDir}}', id]);
    await Promise.all(lower.split(':').map((path) => rm(path, { recursive: true })));
    assert.match(await refused(id), /no such file or directory/);
    await daemon.mustDocker(['rm', id]);
    assert.deepEqual(await findLeaks(daemon), []);
  },
);

/** Archives that cannot be loaded, and what is said: for all but the last ones in the reference's words. */
function brokenArchives(whole: Buffer): readonly (readonly [string, Buffer, string])[] {
  const cut = (bytes: number) =>
    [`cut after ${bytes} bytes`, whole.subarray(0, bytes), 'unexpected EOF'] as const;
  // The reference names a file `repositories` in its own temporary directory.
  const missing = 'open manifest.json: no such file or directory';
  return [
    ['garbage, less than a block', Buffer.from('not a tar'), 'unexpected EOF'],
    ['garbage', Buffer.alloc(1024, 'not a tar'), 'archive/tar: invalid tar header'],
    ...[100, 700, 5000, whole.length >> 1, whole.length - 4000].map(cut),
    ['nothing', Buffer.alloc(0), missing],
    ['the end of an archive', Buffer.alloc(1024), missing],
    ['no manifest', tarOf([{ path: 'x', content: 'x' }]), missing],
    ['layers, and no manifest', tarOf([{ path: 'a/layer.tar', content: tarOf([{ path: 'x' }]) }]), missing],
  ];
}

e2e('broken archives of images: text, exit code, nothing left behind', {}, async (daemon) => {
  const listed = async (): Promise<string[]> => {
    const names: string[] = [];
    for (const folder of [
      'content',
      'content/blobs/sha256',
      'content/partial',
      'content/ingest',
      'overlay2',
      'tmp',
    ])
      for (const name of await readdir(`${daemon.dataRoot}/${folder}`).catch(() => []))
        names.push(`${folder}/${name}`);
    return names.sort();
  };
  const [before, images] = [await listed(), await daemon.mustDocker(['images', '-aq', '--no-trunc'])];
  const file = `${daemon.root}/broken.tar`;
  for (const [what, bytes, text] of brokenArchives(await readFile(await imageArchive('hello')))) {
    await writeFile(file, bytes);
    const { exit, stdout, stderr } = await daemon.docker(['load', '-i', file]);
    assert.deepEqual([exit, stdout, stderr], [1, '', `${text}\n`], what);
    assert.deepEqual(await listed(), before, what);
    assert.equal(await daemon.mustDocker(['images', '-aq', '--no-trunc']), images, what);
  }
});

e2e('hostile archives leave host files alone', {}, async (daemon) => {
  const canary = `${daemon.root}/canary`;
  await mkdir(canary);
  await writeFile(`${canary}/kept`, 'kept');
  for (const [what, entries] of HOSTILE) {
    const moved = JSON.parse(JSON.stringify(entries).replaceAll('/tmp/CANARY', canary)) as typeof entries;
    await writeFile(`${daemon.root}/hostile.tar`, tarOf(moved));
    const result = await daemon.docker(['import', `${daemon.root}/hostile.tar`, 'hostile']);
    assert.deepEqual(await readdir(canary), ['kept'], what);
    assert.equal(await readFile(`${canary}/kept`, 'utf8'), 'kept', what);
    assert.equal(result.exit, what === 'an absolute path' ? 0 : 1, `${what}: ${result.stderr}`);
    if (what === 'a path that climbs') {
      const name = `../../../..${canary}/climbed`;
      assert.equal(result.stderr, `Error response from daemon: invalid entry name "${name}"\n`);
    }
  }
});
