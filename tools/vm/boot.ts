import { spawn } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { MACHINE_FOLDER, type Machine, mustRun } from './machine.ts';

export interface Boot {
  readonly machine: Machine;
  /** The second disk, seen as /mnt; it keeps what is written to it. */
  readonly dataDisk: string;
  readonly timeLimitMs: number;
  /** May answer 'cut', which ends the machine at once, as a power cut does. */
  readonly onLine: (line: string) => 'cut' | undefined;
}

export type BootEnd =
  | { readonly kind: 'done'; readonly status: number }
  | { readonly kind: 'cut' }
  /** It hung, or never came so far. */
  | { readonly kind: 'lost'; readonly console: string };

const MEMORY_MIB = 2048;
const SPARE_MIB = 1024;
const CONSOLE_LINES = 5;
/** Hardware virtualisation is used only on request: nested, it often looks present and does not work. */
const ACCELERATOR = process.env.GANTRY_VM_KVM === '1' ? 'kvm' : 'tcg,thread=multi';

/** A disk with a copy of a folder. The machine runs `command` in it, as root, after each boot. */
export function makeDataDisk(
  path: string,
  from: { readonly folder: string; readonly command: string },
): void {
  const { folder, command } = from;
  writeFileSync(join(folder, '.vm-command'), `${command}\n`);
  const usedMib = Number.parseInt(mustRun('du', ['-sm', folder], folder), 10);
  mustRun('truncate', ['-s', `${usedMib + SPARE_MIB}M`, path], folder);
  mustRun('mkfs.ext4', ['-q', '-F', '-E', 'lazy_itable_init=1', '-d', folder, path], folder);
}

function qemuArguments({ machine, dataDisk }: Boot, consoleLog: string): string[] {
  return [
    ...['-accel', ACCELERATOR, '-cpu', 'max', '-smp', '2', '-m', String(MEMORY_MIB)],
    ...['-nodefaults', '-no-reboot', '-display', 'none'],
    ...['-kernel', machine.kernel, '-initrd', machine.initrd],
    ...['-append', 'root=/dev/vda rw quiet console=ttyS0 no_timer_check panic=-1 systemd.show_status=0'],
    // The machine's disk is never written to: every boot begins from the same state.
    ...['-drive', `file=${machine.disk},format=raw,if=virtio,snapshot=on`],
    ...['-drive', `file=${dataDisk},format=raw,if=virtio`],
    ...['-serial', `file:${consoleLog}`],
    ...['-device', 'virtio-serial', '-chardev', 'stdio,id=out,signal=off'],
    ...['-device', 'virtconsole,chardev=out'],
  ];
}

/** Boots and waits for the end: of the command, of the power, or of the time. */
export async function boot(options: Boot): Promise<BootEnd> {
  const consoleLog = `${options.dataDisk}.console`;
  const child = spawn('qemu-system-x86_64', qemuArguments(options, consoleLog), {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const stop = (): void => void child.kill('SIGKILL');
  const timer = setTimeout(stop, options.timeLimitMs);
  process.once('exit', stop);
  const seen: { end?: BootEnd } = {};
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line = text.replace(/\r$/, '');
    const exit = /^vm-exit (\d+)$/.exec(line);
    if (exit !== null) seen.end = { kind: 'done', status: Number(exit[1]) };
    else if (options.onLine(line) === 'cut') {
      seen.end = { kind: 'cut' };
      stop();
    }
  });
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve());
  });
  process.off('exit', stop);
  clearTimeout(timer);
  if (seen.end !== undefined) return seen.end;
  copyFileSync(consoleLog, join(MACHINE_FOLDER, 'console.log'));
  const lines = readFileSync(consoleLog, 'utf8').trim().split('\n');
  return { kind: 'lost', console: lines.slice(-CONSOLE_LINES).join('\n') };
}
