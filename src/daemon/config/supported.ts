import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { EngineError } from '#base/errors.ts';
import { checkLogDefaults } from '#container/log-defaults.ts';
import { packageRoot } from '#host/real.ts';
import { OWN_RUNTIME } from '#runtime/runtimes.ts';
import type { DaemonConfig } from '../config.ts';

/** Our own one is static, so that it runs in every container; others are named by `--init-path`. */
const OWN_INIT = join(packageRoot(), 'dist/native/gantry-init');

const bad = (message: string): EngineError => new EngineError('invalidArgument', message);

/** The init program of `--init` on this host; null when none is installed. */
export function findInit(configured: string | null): string | null {
  if (configured !== null) return configured;
  return existsSync(OWN_INIT) ? OWN_INIT : null;
}

/** Where distributions put OCI runtimes. */
const RUNTIME_PLACES = ['/usr/bin', '/usr/sbin', '/usr/local/bin', '/usr/local/sbin', '/bin', '/sbin'];

/** The OCI runtimes of this host that need no configuration. */
export function findRuntimes(): Record<string, { path: string }> {
  const found: Record<string, { path: string }> = {};
  for (const name of ['runc', 'crun']) {
    const path = RUNTIME_PLACES.map((folder) => join(folder, name)).find((place) => existsSync(place));
    if (path !== undefined) found[name] = { path };
  }
  return found;
}

function checkRuntimes({
  runtimes,
  defaultRuntime,
}: Pick<DaemonConfig, 'runtimes' | 'defaultRuntime'>): void {
  for (const [name, { path }] of Object.entries(runtimes)) {
    if (name === 'runc' || name === OWN_RUNTIME) throw bad(`runtime name '${name}' is reserved`);
    if (path === '')
      throw bad(`runtime ${name}: a path is required: other kinds of runtimes are not supported`);
  }
  const known = defaultRuntime === OWN_RUNTIME || runtimes[defaultRuntime] !== undefined;
  if (!known && findRuntimes()[defaultRuntime] === undefined)
    throw bad(`specified default runtime '${defaultRuntime}' does not exist`);
}

function checkExecOptions(options: readonly string[]): void {
  for (const option of options) {
    if (option === 'native.cgroupdriver=cgroupfs') continue;
    if (option.startsWith('native.cgroupdriver='))
      throw bad(`${option} is not supported: this engine writes the cgroup file system itself (cgroupfs)`);
    throw bad(`Unknown option ${option.slice(0, option.indexOf('='))} in exec-opts`);
  }
}

/** Options that promise protection: to go on without it would be worse than not to start. */
function checkProtection({ withoutEffect }: DaemonConfig): void {
  if (withoutEffect.includes('authorization-plugins'))
    throw bad('authorization plugins are not supported: every request would be allowed');
}

/** Errors in the reference's words. */
function checkNetwork({ network }: DaemonConfig): void {
  const exclusive = (flag: string): EngineError =>
    bad(`You specified -b & --${flag}, mutually exclusive options. Please specify only one`);
  if (network.bridge !== undefined && network.bip !== undefined) throw exclusive('bip');
  if (network.bridge !== undefined && network.bip6 !== undefined) throw exclusive('bip6');
  if (network.icc === false && network.iptables === false) {
    throw bad(
      'You specified --iptables=false with --icc=false. ICC=false uses iptables to function. Please set --icc or --iptables to true',
    );
  }
}

/**
 * What is well-formed, and still cannot be done here or contradicts itself: the daemon does not start with
 * it, while `--validate` has nothing against it, as in the reference.
 */
export function checkSupported(config: DaemonConfig): void {
  checkRuntimes(config);
  checkExecOptions(config.execOptions);
  checkLogDefaults(config);
  checkProtection(config);
  checkNetwork(config);
  const init = findInit(config.initPath);
  if (config.init && init === null)
    throw bad('init is the default, and no init program is installed: name one with --init-path');
  if (config.initPath !== null && !existsSync(config.initPath))
    throw bad(`the init program ${config.initPath} does not exist`);
}
