import { mkdir } from 'node:fs/promises';
import { must, run } from '../support/command.ts';
import { TestDaemon } from '../support/daemon.ts';
import { findLeaks } from '../support/leaks.ts';
import type { Violation } from './rules.ts';

export interface DiskFullOptions {
  readonly archive: string;
  readonly image: string;
  readonly megabytes?: number;
}

const DISK_NAME = 'gantry-small-disk';

interface Step {
  readonly status: number;
  readonly text: string;
}

/** A daemon whose data root is a small file system that a container fills to the last byte. */
class SmallDisk {
  readonly #daemon: TestDaemon;
  readonly #image: string;
  readonly violations: Violation[] = [];

  constructor(daemon: TestDaemon, image: string) {
    this.#daemon = daemon;
    this.#image = image;
  }

  say(text: string): void {
    this.violations.push({ rule: 'P3', text });
  }

  async call(method: string, path: string, body?: unknown): Promise<Step & { readonly id: string }> {
    const answer = await this.#daemon.api(path, { method, ...(body !== undefined && { body }) });
    return {
      status: answer.status,
      text: answer.body.toString(),
      id: (answer.json as { Id?: string } | undefined)?.Id ?? '',
    };
  }

  create(cmd: readonly string[]): Promise<Step & { readonly id: string }> {
    return this.call('POST', '/containers/create', { Image: this.#image, Cmd: cmd });
  }

  async mustRun(cmd: readonly string[], when: string): Promise<string> {
    const made = await this.create(cmd);
    if (made.status !== 201) this.say(`${when}: create: ${made.text}`);
    const started = await this.call('POST', `/containers/${made.id}/start`);
    if (started.status !== 204) this.say(`${when}: start: ${started.text}`);
    return made.id;
  }

  /** Refused with words, or done; never a hang and never an empty error. */
  async tryAll(): Promise<string[]> {
    const ids: string[] = [];
    for (let i = 0; i < 3; i++) {
      const made = await this.create(['true']);
      if (made.status === 201) {
        ids.push(made.id);
        const started = await this.call('POST', `/containers/${made.id}/start`);
        if (started.status >= 400 && !started.text.includes('message'))
          this.say(`start answers ${started.status} ${started.text}`);
      } else if (made.status < 500 || !/no space left/i.test(made.text))
        this.say(`create answers ${made.status} ${made.text}`);
    }
    const ping = await this.call('GET', '/_ping');
    if (ping.status !== 200) this.say(`/_ping answers ${ping.status}`);
    return ids;
  }

  async isListed(id: string): Promise<boolean> {
    const list = (await this.#daemon.api('/containers/json?all=1')).json as { Id: string }[];
    return list.some((one) => one.Id === id);
  }

  async remove(id: string, when: string): Promise<void> {
    const answer = await this.call('DELETE', `/containers/${id}?force=1`);
    if (answer.status !== 204) this.say(`${when}: rm: ${answer.status} ${answer.text}`);
  }
}

/**
 * P3: a full disk gives clean errors; the daemon survives it, starts on it, stops and removes on it, and goes
 * on after it.
 */
export async function fillDisk(options: DiskFullOptions): Promise<{ violations: Violation[] }> {
  const daemon = new TestDaemon({});
  await daemon.prepare();
  await mkdir(daemon.dataRoot, { recursive: true });
  await must('mount', ['-t', 'tmpfs', '-o', `size=${options.megabytes ?? 48}m`, DISK_NAME, daemon.dataRoot]);
  const disk = new SmallDisk(daemon, options.image);
  try {
    await daemon.start();
    await daemon.loadImage(options.archive);
    const sleeper = await disk.mustRun(['sleep', '86400'], 'before');
    const filler = await disk.mustRun(['sh', '-c', 'cat /dev/zero > /fill; sleep 86400'], 'before');
    await must('sh', ['-c', `while cat /dev/zero >> ${daemon.dataRoot}/rest 2>/dev/null; do :; done; true`]);
    const made = await disk.tryAll();
    await daemon.restart('SIGKILL');
    if (!(await disk.isListed(sleeper))) disk.say('a container is lost after a restart on a full disk');
    made.push(...(await disk.tryAll()));
    const stopped = await disk.call('POST', `/containers/${sleeper}/stop?t=0`);
    if (stopped.status !== 204) disk.say(`stop: ${stopped.status} ${stopped.text}`);
    for (const id of [sleeper, ...made]) await disk.remove(id, 'on a full disk');
    await run('rm', [`${daemon.dataRoot}/rest`]);
    await disk.remove(filler, 'on a full disk');
    await daemon.restart('SIGKILL');
    if (await disk.isListed(sleeper)) disk.say('what was removed on a full disk came back');
    await disk.remove(await disk.mustRun(['true'], 'after'), 'after');
    await daemon.removeAll();
    const leaks = (await findLeaks(daemon)).filter((leak) => !leak.includes(DISK_NAME));
    for (const leak of leaks) disk.say(`left behind: ${leak}`);
  } finally {
    // It cannot take the data root away, which is a mount point.
    await daemon[Symbol.asyncDispose]().catch(() => undefined);
    await run('umount', ['-l', daemon.dataRoot]);
    await run('rm', ['-rf', daemon.root]);
  }
  return { violations: disk.violations };
}
