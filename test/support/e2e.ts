import { test } from 'node:test';
import { run } from './command.ts';
import { startDaemon, type DaemonOptions, type TestDaemon } from './daemon.ts';
import { imageArchive } from './images.ts';

const OLDEST_CLI = 27;

/**
 * Why a test of the real docker CLI cannot run here, or `false`. The reason stands on
 * test/reference/skips.json.
 */
export async function dockerIsMissing(): Promise<string | false> {
  const answer = await run('docker', ['--version']).catch(() => undefined);
  const major = Number(/version (\d+)/.exec(answer?.stdout ?? '')?.[1] ?? 0);
  return major >= OLDEST_CLI ? false : 'no docker CLI 27 or newer';
}

export interface E2eOptions extends DaemonOptions {
  /** Images to load before: busybox, gantry/hello, gantry/web; `busybox` when not given. */
  readonly images?: readonly ('busybox' | 'hello' | 'web')[];
  readonly timeoutMs?: number;
  /** Why it cannot run here, in the words of test/reference/skips.json, or `false`. */
  readonly skip?: string | false;
}

/** A test of the real docker CLI against a daemon of its own, with a leak check at its end. */
export function e2e(name: string, options: E2eOptions, body: (daemon: TestDaemon) => Promise<void>): void {
  test(name, { timeout: options.timeoutMs ?? 120_000 }, async (context) => {
    const reason = options.skip || (await dockerIsMissing());
    if (reason !== false) return context.skip(reason);
    await using daemon = await startDaemon(options);
    for (const image of options.images ?? ['busybox']) await daemon.loadImage(await imageArchive(image));
    await body(daemon);
  });
}
