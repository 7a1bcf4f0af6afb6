import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { filesBelow, type Target, writeWhole } from '../build-steps/target.ts';
import { DIST, ROOT } from '../paths.ts';
import { dockerArchive, type ImageSource, ociLayout } from './image-archive.ts';
import { type TarEntry, tarOf } from './tar.ts';

export const IMAGES = join(DIST, 'images');
/** The image that `npm start` greets from, and the file that holds it. */
export const EMBEDDED = { reference: 'gantry/hello:latest', archive: join(IMAGES, 'embedded.tar') } as const;

const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const PASSWD = `root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
`;
const GROUP = `root:x:0:
daemon:x:1:
tty:x:5:
www-data:x:33:
nobody:x:65534:
`;

const GREETING = `#!/bin/sh
limit=unknown
for file in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
  [ -r "$file" ] && limit=$(cat "$file") && break
done
case $limit in
  *[!0-9]*) ;;
  ????????????????*) limit=none ;;
  *) limit="$((limit / 1048576)) MiB" ;;
esac
[ "$limit" = max ] && limit=none
echo "Hello from inside a container."
echo "  hostname      $(hostname)"
echo "  my PID        $$"
echo "  kernel        $(uname -sr)"
echo "  memory limit  $limit"
`;

function findBusybox(): string {
  const found = ['/bin/busybox', '/usr/bin/busybox', '/usr/local/bin/busybox'].find((path) =>
    existsSync(path),
  );
  if (found === undefined)
    throw new Error('there is no busybox on this machine: apt-get install busybox-static');
  return found;
}

function folder(path: string, mode = 0o755): TarEntry {
  return { path: `${path}/`, type: 'directory', mode };
}

/** A root file system of busybox with a link per applet. */
function busyboxLayer(): TarEntry[] {
  const busybox = findBusybox();
  const listed = spawnSync(busybox, ['--list'], { encoding: 'utf8' });
  if (listed.status !== 0)
    throw new Error(`${busybox} --list failed: ${listed.error?.message ?? listed.stderr}`);
  const applets = listed.stdout
    .split('\n')
    .filter((name) => name !== '' && name !== 'busybox')
    .sort();
  return [
    ...['bin', 'dev', 'etc', 'home', 'proc', 'sys', 'usr', 'usr/bin', 'usr/sbin', 'var', 'var/www'].map((p) =>
      folder(p),
    ),
    folder('root', 0o700),
    folder('tmp', 0o1777),
    { path: 'bin/busybox', content: readFileSync(busybox), mode: 0o755 },
    ...applets.map((name): TarEntry => ({ path: `bin/${name}`, type: 'symlink', target: 'busybox' })),
    { path: 'usr/bin/env', type: 'symlink', target: '../../bin/busybox' },
    { path: 'etc/passwd', content: PASSWD },
    { path: 'etc/group', content: GROUP },
    { path: 'etc/shadow', content: 'root:*:::::::\n', mode: 0o640 },
  ];
}

function busyboxImage(base: readonly TarEntry[]): ImageSource {
  return { reference: 'busybox:latest', layers: [base], config: { Env: [PATH], Cmd: ['sh'] } };
}

function helloImage(base: readonly TarEntry[]): ImageSource {
  const greeting: TarEntry = { path: 'bin/greet', content: GREETING, mode: 0o755 };
  return {
    reference: EMBEDDED.reference,
    layers: [base, [folder('bin'), greeting]],
    config: { Env: [PATH], Cmd: ['/bin/greet'], WorkingDir: '/' },
  };
}

function webImage(base: readonly TarEntry[]): ImageSource {
  const page: TarEntry = { path: 'www/index.html', content: '<h1>hello from gantry/web</h1>\n' };
  return {
    reference: 'gantry/web:latest',
    layers: [base, [folder('www'), page]],
    config: {
      Env: [PATH],
      Cmd: ['httpd', '-f', '-p', '8080', '-h', '/www'],
      ExposedPorts: { '8080/tcp': {} },
      WorkingDir: '/www',
      StopSignal: 'SIGKILL',
    },
  };
}

/** Files in dist/images: the embedded image as an OCI layout, and docker archives which the tests load. */
export const ARCHIVES = {
  embedded: EMBEDDED.archive,
  busybox: join(IMAGES, 'busybox.tar'),
  hello: join(IMAGES, 'hello.tar'),
  web: join(IMAGES, 'web.tar'),
  /** The bare root file system, for `docker import`. */
  rootfs: join(IMAGES, 'rootfs.tar'),
} as const;

async function makeImages(): Promise<undefined> {
  const base = busyboxLayer();
  writeWhole(ARCHIVES.embedded, ociLayout(helloImage(base)).archive);
  writeWhole(ARCHIVES.hello, dockerArchive(helloImage(base)).archive);
  writeWhole(ARCHIVES.busybox, dockerArchive(busyboxImage(base)).archive);
  writeWhole(ARCHIVES.web, dockerArchive(webImage(base)).archive);
  writeWhole(ARCHIVES.rootfs, tarOf(base));
}

export function imageTargets(): Target[] {
  const inputs = [
    findBusybox(),
    ...filesBelow(join(ROOT, 'tools/set-up'), /^(images|image-archive|tar)\.ts$/),
  ];
  return [{ name: 'images', outputs: Object.values(ARCHIVES), inputs, run: makeImages }];
}
