/**
 * The door to every npm script. Plain JavaScript, so that it runs on any Node from 20 on: it makes sure that
 * the npm packages and the system packages which a command needs are there, then continues as
 * tools/<command>.ts on the pinned Node.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { arch, constants as osConstants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const STAMP = join(ROOT, 'node_modules', '.gantry-lock-hash');
const NODE = join(ROOT, 'node_modules', `node-linux-${arch()}`, 'bin', 'node');
const PROGRAM_FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** A requirement is met by a program in the PATH (a bare name) or by a file (an absolute path). */
const BUILDING = [
  { needs: 'cc', debian: ['gcc'], what: 'a C compiler' },
  { needs: '/usr/include/stdio.h', debian: ['libc6-dev'], what: 'the C library headers' },
  { needs: '/usr/include/linux/mount.h', debian: ['linux-libc-dev'], what: 'the kernel headers' },
  { needs: 'musl-gcc', debian: ['musl-tools'], what: 'musl libc with its compiler wrapper musl-gcc' },
  { needs: 'busybox', isUsable: isStatic, debian: ['busybox-static'], what: 'a statically linked busybox' },
];
/** gantry starts containers itself; tests and benches hold it against these runtimes. */
const TESTING = [
  ...BUILDING,
  { needs: 'runc', debian: ['runc'], what: 'the OCI runtime runc' },
  { needs: 'crun', debian: ['crun'], what: 'the OCI runtime crun' },
  { needs: 'ip', debian: ['iproute2'], what: 'the program ip' },
  { needs: 'nft', debian: ['nftables'], what: 'the program nft' },
  { needs: 'strace', debian: ['strace'], what: 'strace' },
  { needs: 'valgrind', debian: ['valgrind'], what: 'valgrind' },
  { needs: 'unshare', debian: ['util-linux'], what: 'the programs of util-linux' },
  { needs: 'curl', debian: ['curl'], what: 'curl' },
  { needs: 'debootstrap', debian: ['debootstrap'], what: 'debootstrap' },
  { needs: 'openssl', debian: ['openssl'], what: 'the program openssl' },
  { needs: 'docker-registry', debian: ['docker-registry'], what: 'a registry to compare with' },
  { needs: 'skopeo', debian: ['skopeo'], what: 'skopeo, as a client of our registry' },
  { needs: 'podman', debian: ['podman'], what: 'podman, as a client of our registry' },
];
const MACHINE = [
  ...TESTING,
  { needs: 'qemu-system-x86_64', debian: ['qemu-system-x86'], what: 'the emulator qemu' },
  { needs: 'mkfs.ext4', debian: ['e2fsprogs'], what: 'the programs of ext4' },
  { needs: 'cpio', debian: ['cpio'], what: 'cpio' },
];
const COMMANDS = {
  start: BUILDING,
  build: BUILDING,
  test: TESTING,
  check: [],
  format: [],
  goldens: TESTING,
  torture: TESTING,
  bench: TESTING,
  'test-vm': MACHINE,
};

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** A dynamically linked program names its loader in the first page of the file. */
function isStatic(path) {
  const file = openSync(path, 'r');
  const start = Buffer.alloc(4096);
  readSync(file, start);
  closeSync(file);
  return !start.includes('/ld-linux') && !start.includes('/ld-musl');
}

function isMet({ needs, isUsable = () => true }) {
  if (needs.startsWith('/')) return existsSync(needs);
  const folders = new Set([
    ...PROGRAM_FOLDERS,
    ...(process.env.PATH ?? '').split(':').filter((f) => f.startsWith('/')),
  ]);
  return [...folders]
    .map((folder) => join(folder, needs))
    .some((path) => isExecutable(path) && isUsable(path));
}

/** Names of installed packages which the lock file asks for on this machine and which are not there. */
function missingModules(lock) {
  const missing = [];
  for (const [path, entry] of Object.entries(lock.packages)) {
    if (path === '') continue;
    const isForUs =
      (entry.os?.includes('linux') ?? true) &&
      (entry.cpu?.includes(arch()) ?? true) &&
      // Optional packages without a platform, or for another libc, may be absent with good reason.
      (!entry.optional ||
        path.startsWith('node_modules/node-linux-') ||
        path.startsWith('node_modules/@esbuild/'));
    if (isForUs && !existsSync(join(ROOT, path, 'package.json'))) missing.push(path);
  }
  return missing;
}

function installModules() {
  const text = readFileSync(join(ROOT, 'package-lock.json'), 'utf8');
  const hash = createHash('sha256').update(text).digest('hex');
  const known = existsSync(STAMP) ? readFileSync(STAMP, 'utf8') : '';
  const missing = missingModules(JSON.parse(text));
  if (known === hash && missing.length === 0 && isExecutable(NODE)) return;
  process.stdout.write('installing npm packages\n');
  // No package here needs its install script: esbuild runs from its platform package, Node's are plain
  // binaries.
  const options = [
    '--include=dev',
    '--include=optional',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ];
  // `install --no-save` instead of `ci`: it keeps to the lock file as well, and it accepts registries
  // (mirrors) that do not carry the packages of foreign platforms, for which `ci` wants entries in the lock
  // file.
  const result = spawnSync('npm', ['install', '--no-save', ...options], {
    cwd: ROOT,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (result.error) fail(`npm could not be started: ${result.error.message}`);
  if (result.status !== 0) fail(`npm install failed (status ${result.status}); its messages stand above`);
  if (!isExecutable(NODE))
    fail(`there is no Node for this machine (linux ${arch()}): x64 and arm64 are supported`);
  writeFileSync(STAMP, hash);
}

function isDebian() {
  if (!isMet({ needs: 'apt-get' }) || !existsSync('/etc/os-release')) return false;
  return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(readFileSync('/etc/os-release', 'utf8'));
}

/** A package that brings a service (a registry, open to everybody) is not to start it. */
function withoutServices(install) {
  const policy = '/usr/sbin/policy-rc.d';
  const isOurs = !existsSync(policy);
  if (isOurs) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  const undo = () => isOurs && rmSync(policy, { force: true });
  process.once('exit', undo);
  install();
  process.removeListener('exit', undo);
  undo();
}

function aptGet(packages) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  for (const args of [
    ['update', '-qq'],
    ['install', '-qq', '-y', '--no-install-recommends', ...packages],
  ]) {
    const result = spawnSync('apt-get', args, { env, stdio: ['ignore', 'inherit', 'inherit'] });
    if (result.error || (result.status !== 0 && args[0] === 'install'))
      fail(`apt-get ${args.join(' ')} failed`);
  }
}

function installSystemPackages(requirements) {
  const missing = requirements.filter((requirement) => !isMet(requirement));
  if (missing.length === 0) return;
  const list = missing
    .map((m) => `  - ${m.what} (looked for ${m.needs}; Debian: ${m.debian.join(' ')})`)
    .join('\n');
  if (!isDebian())
    fail(
      `This machine lacks, and only on Debian can it be installed from here:\n${list}\nInstall these and run the command again.`,
    );
  const packages = missing.flatMap((m) => m.debian);
  if (process.getuid() !== 0)
    fail(`This machine lacks:\n${list}\nRun as root, or: apt-get install ${packages.join(' ')}`);
  process.stdout.write(`installing Debian packages: ${packages.join(' ')}\n`);
  withoutServices(() => aptGet(packages));
  const still = requirements.filter((requirement) => !isMet(requirement));
  if (still.length > 0)
    fail(`apt-get succeeded, but these are still not there: ${still.map((m) => m.needs).join(', ')}`);
}

/**
 * Become the pinned Node. Where this Node cannot exec, stay as a parent that passes signals and the exit
 * status on.
 */
function become(args) {
  if (typeof process.execve === 'function') process.execve(NODE, [NODE, ...args], process.env);
  const child = spawn(NODE, args, { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(signal ? 128 + osConstants.signals[signal] : code));
}

const [command, ...rest] = process.argv.slice(2);
if (!Object.hasOwn(COMMANDS, command ?? ''))
  fail(`usage: node tools/bootstrap.mjs ${Object.keys(COMMANDS).join('|')} [arguments]`);
if (process.platform !== 'linux') fail('gantry runs on Linux only');
installModules();
installSystemPackages(COMMANDS[command]);
const script = join(ROOT, 'tools', `${command}.ts`);
if (!existsSync(script)) fail(`${command} is not part of this checkout: tools/${command}.ts does not exist`);
become(['--disable-warning=ExperimentalWarning', script, ...rest]);
