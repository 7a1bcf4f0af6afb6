import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';

/** What the virtual machine is made of; all three are made once and never written to afterwards. */
export interface Machine {
  readonly kernel: string;
  readonly initrd: string;
  readonly disk: string;
}

export const MACHINE_FOLDER = process.env.GANTRY_VM_DIR ?? join('/var/tmp', 'gantry-vm');
const DISK_SIZE = '8G';
const RELEASE = 'bookworm';
const PACKAGES = [
  ...['systemd', 'systemd-sysv', 'dbus', 'udev', 'kmod', 'procps', 'busybox-static', 'util-linux'],
  // The official builds of Node are linked against it.
  'libatomic1',
  ...['iproute2', 'nftables', 'curl', 'ca-certificates', 'apparmor', 'runc', 'crun'],
  'linux-image-cloud-amd64',
];
const MODULES = ['virtio_pci', 'virtio_blk', 'virtio_console', 'ext4'];

/** Loads what finding the disk needs, then hands over to the real init. */
const INIT = `#!/bin/sh
/bin/busybox mkdir -p /proc /sys /dev
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
for module in $(/bin/busybox cat /order); do /bin/busybox insmod /modules/$module; done
for try in 1 2 3 4 5 6 7 8 9 10; do [ -e /dev/vda ] && break; /bin/busybox sleep 0.1; done
/bin/busybox mount /dev/vda /new
exec /bin/busybox switch_root /new /sbin/init
`;

/**
 * Runs /mnt/.vm-command of the second disk after the boot, says how it ended, and switches the machine off.
 */
const JOB = `[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'mkdir -p /mnt; mount -t ext4 /dev/vdb /mnt && cd /mnt && sh /mnt/.vm-command > /dev/hvc0 2>&1; echo "vm-exit $?" > /dev/hvc0'
ExecStopPost=/bin/systemctl poweroff --no-block
StandardOutput=null
TimeoutStartSec=infinity
[Install]
WantedBy=graphical.target multi-user.target
`;

const SILENT_UNITS = [
  'systemd-networkd-wait-online.service',
  'getty@tty1.service',
  'serial-getty@hvc0.service',
  'apt-daily.timer',
  'apt-daily-upgrade.timer',
];

export function mustRun(command: string, args: readonly string[], cwd: string): string {
  const result = spawnSync(command, args, { cwd, encoding: 'utf8', maxBuffer: 1 << 26 });
  if (result.status === 0) return result.stdout;
  const why =
    result.error?.message ?? (result.stderr || result.stdout).trim().split('\n').slice(-5).join('\n');
  throw new Error(`${command} ${args.join(' ')}: ${why}`);
}

/** The module's files in the order in which they have to be loaded. */
function moduleFiles(root: string, version: string): string[] {
  const listed = mustRun(
    'chroot',
    [root, 'modprobe', '-S', version, '-a', '--show-depends', ...MODULES],
    root,
  );
  const files = listed.split('\n').filter((line) => line.startsWith('insmod '));
  return [...new Set(files.map((line) => line.split(' ')[1] ?? ''))];
}

function makeInitrd(folder: string, root: string, version: string): void {
  const tree = join(folder, 'initramfs');
  rmSync(tree, { recursive: true, force: true });
  for (const name of ['bin', 'modules', 'new']) mkdirSync(join(tree, name), { recursive: true });
  cpSync(join(root, 'bin/busybox'), join(tree, 'bin/busybox'));
  cpSync(join(root, 'bin/busybox'), join(tree, 'bin/sh'));
  const files = moduleFiles(root, version);
  for (const file of files) cpSync(join(root, file), join(tree, 'modules', basename(file)));
  writeFileSync(join(tree, 'order'), `${files.map((file) => basename(file)).join('\n')}\n`);
  writeFileSync(join(tree, 'init'), INIT);
  chmodSync(join(tree, 'init'), 0o755);
  mustRun('sh', ['-ec', 'find . | cpio -o -H newc --quiet | gzip -1 > ../initrd'], tree);
}

function configure(root: string): void {
  writeFileSync(join(root, 'etc/systemd/system/job.service'), JOB);
  writeFileSync(join(root, 'etc/hostname'), 'vm\n');
  writeFileSync(join(root, 'etc/fstab'), '/dev/vda / ext4 rw 0 1\n');
  mustRun('chroot', [root, 'systemctl', '-q', 'enable', 'job.service'], root);
  mustRun('chroot', [root, 'systemctl', '-q', 'mask', ...SILENT_UNITS], root);
}

/**
 * Makes the machine if the folder does not hold one. The disk comes last and whole: its name says all is
 * there.
 */
export function provideMachine(print: (line: string) => void): Machine {
  const folder = MACHINE_FOLDER;
  const machine = {
    kernel: join(folder, 'kernel'),
    initrd: join(folder, 'initrd'),
    disk: join(folder, 'disk'),
  };
  if (Object.values(machine).every((path) => existsSync(path))) return machine;
  print(`making a Debian ${RELEASE} machine in ${folder}: some minutes, 2 GB, only once`);
  const root = join(folder, 'root');
  rmSync(root, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  mustRun('debootstrap', ['--variant=minbase', `--include=${PACKAGES.join(',')}`, RELEASE, root], folder);
  const version = readdirSync(join(root, 'lib/modules')).sort().at(-1);
  if (version === undefined) throw new Error('the Debian packages brought no kernel');
  cpSync(join(root, 'boot', `vmlinuz-${version}`), machine.kernel);
  makeInitrd(folder, root, version);
  configure(root);
  const staged = `${machine.disk}.new`;
  rmSync(staged, { force: true });
  mustRun('truncate', ['-s', DISK_SIZE, staged], folder);
  mustRun('mkfs.ext4', ['-q', '-F', '-E', 'lazy_itable_init=1', '-d', root, staged], folder);
  renameSync(staged, machine.disk);
  rmSync(root, { recursive: true, force: true });
  return machine;
}
