import { flushCompileCache } from 'node:module';
import { EngineError } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { Kernel } from '#host/kernel.ts';
import { kernelProblem } from '#runtime/host-facts.ts';
import type { DaemonConfig } from './config.ts';
import { checkSupported } from './config/supported.ts';
import { lockDataRoot, readInstance, writePidFile, type RootLock } from './data-root.ts';
import { openListeners } from './listeners.ts';
import type { LiveSettings } from './live-settings.ts';
import { PRODUCT } from './product.ts';
import type { Route } from './server/call.ts';
import { allRoutes } from './server/routes/all.ts';
import { ApiServer } from './server/server.ts';
import { openKernel, wire, type Engine } from './wire.ts';

export interface RunningDaemon {
  /** Takes over what may change at run time. Errors leave everything as it was. */
  reload(next: DaemonConfig): void;
  stop(): Promise<void>;
}

export interface BootOptions {
  readonly config: DaemonConfig;
  readonly live: LiveSettings;
  readonly log: Log;
  /** Default: this host's. */
  readonly kernel?: Kernel;
}

/** Whoever waited for the daemon has asked by then. */
const QUIET_AFTER_MS = 1000;

function reload(next: DaemonConfig, to: Pick<BootOptions, 'live' | 'log'> & { engine: Engine }): void {
  checkSupported(next);
  for (const key of to.live.replace(next))
    to.log.warn('this change of the configuration takes a restart of the daemon', { key });
  const { debug, labels, registries } = to.live.now;
  to.engine.tellReload({
    debug: String(debug),
    labels: JSON.stringify(labels),
    'insecure-registries': JSON.stringify(registries.insecure),
    'registry-mirrors': JSON.stringify(registries.mirrors),
  });
  to.log.info('configuration reloaded', { debug, labels: labels.join(' ') });
}

/** What would fail with every single container is said once, before anything else. */
function checkKernel(kernel: Pick<Kernel, 'system'>): void {
  const problem = kernelProblem(kernel.system.facts().kernelVersion);
  if (problem !== null) throw new EngineError('unavailable', problem);
}

/**
 * From configuration to the first answer: take the data root, listen, read state, take over what runs, and
 * only then answer. Whoever gets an answer sees the whole truth; who connects early waits instead of being
 * refused.
 */
export async function boot({
  config,
  live,
  log,
  kernel = openKernel(),
}: BootOptions): Promise<RunningDaemon> {
  const began = performance.now();
  checkSupported(config);
  checkKernel(kernel);
  const locks: RootLock[] = [await lockDataRoot(config.dataRoot, kernel)];
  const release = async (): Promise<void> => {
    for (const lock of locks.reverse()) await lock.release();
  };
  try {
    locks.push(await writePidFile(config.pidfile, kernel));
    for (const key of config.withoutEffect)
      log.warn('this option has no effect in this engine yet', { option: key });
    const routes = Promise.withResolvers<readonly Route[]>();
    const server = new ApiServer({
      routes: routes.promise,
      log: log.with({ room: 'server' }),
      product: PRODUCT,
    });
    const [listeners, instance] = await Promise.all([
      openListeners({ config, server, kernel, log }),
      readInstance(config.dataRoot),
    ]);
    locks.push({ release: listeners.close });
    const engine = await wire({ config, live, kernel, instance, log });
    await engine.restore();
    routes.resolve(allRoutes(engine.backends));
    log.info('daemon is up', { pid: process.pid, ms: Math.round(performance.now() - began) });
    engine.startByPolicy();
    kernel.threads.favourMain();
    // A daemon that is killed would leave its compiled code unsaved.
    setImmediate(flushCompileCache);
    const rehearsal = setTimeout(() => engine.rehearse(), QUIET_AFTER_MS).unref();
    return {
      reload: (next) => reload(next, { live, log, engine }),
      async stop() {
        clearTimeout(rehearsal);
        await listeners.close();
        await engine.close();
        await release();
      },
    };
  } catch (error) {
    await release();
    throw error;
  }
}
