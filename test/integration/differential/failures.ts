/** What cannot be started, or ends by itself: exit code and text. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test, type TestContext } from 'node:test';
import type { RuntimeSpec } from '#oci/runtime-spec.ts';
import { OURS, type Place, place, type Runtime, runBundle, specOf } from './bundle.ts';
import { Known } from './differences.ts';
import { errorMessage } from './error-text.ts';
import { type Ending, type Options, type Peer, unlike } from './suite.ts';

type Change = (spec: RuntimeSpec & { process: NonNullable<RuntimeSpec['process']> }, at: Place) => void;

function file(path: string, content: string, mode: number): void {
  writeFileSync(path, content);
  chmodSync(path, mode);
}

const args =
  (...words: string[]): Change =>
  (spec) => {
    spec.process.args = words;
  };

export const FAILURES: Readonly<Record<string, Change>> = {
  'exit code': args('/bin/sh', '-c', 'exit 42'),
  'killed by itself': args('/bin/sh', '-c', 'kill -9 $$'),
  'killed by SIGTERM of itself, as init': args('/bin/sh', '-c', 'kill -TERM $$; exit 3'),
  'missing command': args('nope'),
  'missing path': args('/no/such'),
  'empty command': args(''),
  'not executable': (spec, at) => {
    file(join(at.rootfs, 'plain'), 'text\n', 0o644);
    spec.process.args = ['/plain'];
  },
  'a directory': args('/etc'),
  'not executable in PATH': (spec, at) => {
    file(join(at.rootfs, 'bin/plain'), 'text\n', 0o644);
    spec.process.args = ['plain'];
  },
  'no format': (spec, at) => {
    file(join(at.rootfs, 'bin/nothing'), '\u0001\u0002\u0003garbage', 0o755);
    spec.process.args = ['nothing'];
  },
  'missing interpreter': (spec, at) => {
    file(join(at.rootfs, 'bin/script'), '#!/no/such\n', 0o755);
    spec.process.args = ['script'];
  },
  'link that leads nowhere': (spec, at) => {
    symlinkSync('/no/where', join(at.rootfs, 'bin/dangling'));
    spec.process.args = ['dangling'];
  },
  'cwd is a file': (spec) => {
    spec.process.cwd = '/etc/passwd';
  },
  'cwd that the user may not enter': (spec, at) => {
    mkdirSync(join(at.rootfs, 'closed'), { mode: 0o700 });
    spec.process.cwd = '/closed';
    spec.process.user = { uid: 1000, gid: 1000 };
  },
  'bind source is missing': (spec, at) => {
    spec.mounts?.push({ destination: '/h', type: 'bind', source: `${at.folder}/none`, options: ['rbind'] });
  },
  'bind of a directory onto a file': (spec, at) => {
    spec.mounts?.push({ destination: '/etc/passwd', type: 'bind', source: at.folder, options: ['rbind'] });
  },
  'bind of a file onto a directory': (spec, at) => {
    spec.mounts?.push({
      destination: '/etc',
      type: 'bind',
      source: `${at.rootfs}/etc/passwd`,
      options: ['rbind'],
    });
  },
  'unknown file system': (spec) => {
    spec.mounts?.push({ destination: '/h', type: 'nofs', source: 'nofs', options: [] });
  },
  'bad tmpfs option': (spec) => {
    spec.mounts?.push({ destination: '/h', type: 'tmpfs', source: 'tmpfs', options: ['nonsense=1'] });
  },
  'long hostname': (spec) => {
    spec.hostname = 'x'.repeat(65);
  },
  'unknown sysctl': (spec) => {
    if (spec.linux) spec.linux.sysctl = { 'net.ipv4.no_such_thing': '1' };
  },
  'sysctl of the host': (spec) => {
    if (spec.linux) spec.linux.sysctl = { 'vm.swappiness': '1' };
  },
  'bad value of a sysctl': (spec) => {
    if (spec.linux) spec.linux.sysctl = { 'net.ipv4.ip_forward': 'maybe' };
  },
  'limit above the hard one': (spec) => {
    spec.process.rlimits = [{ type: 'RLIMIT_NOFILE', soft: 2048, hard: 1024 }];
  },
  'unknown limit': (spec) => {
    spec.process.rlimits = [{ type: 'RLIMIT_NOPE', soft: 1, hard: 1 }];
  },
  'score out of range': (spec) => {
    spec.process.oomScoreAdj = 5000;
  },
  'device with a bad type': (spec) => {
    if (spec.linux) spec.linux.devices = [{ path: '/dev/x', type: 'z', major: 1, minor: 3 }];
  },
  'missing apparmor': (spec) => {
    spec.process.apparmorProfile = 'no-such-profile';
  },
  'namespace path is missing': (spec) => {
    for (const entry of spec.linux?.namespaces ?? []) if (entry.type === 'ipc') entry.path = '/no/such/ns';
  },
  'namespace path of another kind': (spec) => {
    for (const entry of spec.linux?.namespaces ?? [])
      if (entry.type === 'ipc') entry.path = '/proc/self/ns/uts';
  },
  'too little memory': (spec) => {
    if (spec.linux) spec.linux.resources = { ...spec.linux.resources, memory: { limit: 4096 } };
  },
  'no arguments': args(),
  'device with a bad path': (spec) => {
    if (spec.linux) spec.linux.devices = [{ path: 'x', type: 'c', major: 1, minor: 3 }];
  },
  'user that the mapping has not': (spec) => {
    if (!spec.linux) return;
    spec.linux.namespaces?.push({ type: 'user' });
    spec.linux.sysctl = {};
    spec.linux.uidMappings = [{ containerID: 0, hostID: 0, size: 10 }];
    spec.linux.gidMappings = [{ containerID: 0, hostID: 0, size: 10 }];
    spec.process.user = { uid: 11, gid: 0 };
  },
  'user that nobody can be': (spec) => {
    spec.process.user = { uid: 4_294_967_295, gid: 0 };
  },
  'root is missing': (spec, at) => {
    spec.root = { path: `${at.folder}/no-root` };
  },
  'failing hook': (spec) => {
    spec.hooks = { createRuntime: [{ path: '/bin/false' }] };
  },
  'missing hook': (spec) => {
    spec.hooks = { createContainer: [{ path: '/no/such' }] };
  },
};

async function ending(t: TestContext, runtime: Runtime, change: Change): Promise<Ending> {
  const at = place(t);
  const made = specOf(at, { args: ['/bin/true'] });
  if (made.process === undefined) throw new Error('a spec without a process');
  const spec = { ...made, process: made.process };
  change(spec, at);
  const { exit, stderr } = await runBundle(at, runtime, { spec });
  return { exit, text: errorMessage(stderr, at) };
}

export function failures(names: readonly string[], peers: readonly Peer[], options: Options = {}): void {
  describe('what cannot be started', () => {
    const known = new Map(peers.map((peer) => [peer, new Known('error', peer.against)]));
    for (const name of names) {
      test(name, async (t) => {
        const change = FAILURES[name];
        assert.ok(change);
        const [mine, ...others] = await Promise.all(
          [OURS, ...peers.map(({ runtime }) => runtime)].map((runtime) => ending(t, runtime, change)),
        );
        assert.ok(mine);
        const rest = peers.flatMap((peer, i) =>
          unlike({ peer, mine, other: others[i], known: known.get(peer) }),
        );
        assert.deepEqual(rest, []);
      });
    }
    after(() => {
      const gone = [...known.values()].flatMap((list) => list.gone(options.isSample === true));
      assert.deepEqual(gone, [], 'differences that are not there any more');
    });
  });
}
