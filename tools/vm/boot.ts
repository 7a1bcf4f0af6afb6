import { spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { MACHINE_FOLDER, type Machine, mustRun } from './machine.ts';

export interface Boot {
  readonly machine: Machine;
  /** Becomes the second disk, seen as /mnt. */
  readonly payload: string;
  /** A shell command, run as root in /mnt after the boot. */
  readonly command: string;
  readonly timeLimitMs: number;
  readonly onLine: (line: string) => void;
}

const MEMORY_MIB = 2048;
const SPARE_MIB = 1024;
/** Hardware virtualisation is used only on request: nested, it often looks present and does not work. */
const ACCELERATOR = process.env.GANTRY_VM_KVM === '1' ? 'kvm' : 'tcg,thread=multi';

function payloadDisk({ payload, command }: Boot, path: string): void {
  writeFileSync(join(payload, '.vm-command'), `${command}\n`);
  const usedMib = Number.parseInt(mustRun('du', ['-sm', payload], payload), 10);
  mustRun('truncate', ['-s', `${usedMib + SPARE_MIB}M`, path], payload);
  mustRun('mkfs.ext4', ['-q', '-F', '-E', 'lazy_itable_init=1', '-d', payload, path], payload);
}

function qemuArguments({ machine }: Boot, scratch: string): string[] {
  return [
    ...['-accel', ACCELERATOR, '-cpu', 'max', '-smp', '2', '-m', String(MEMORY_MIB)],
    ...['-nodefaults', '-no-reboot', '-display', 'none'],
    ...['-kernel', machine.kernel, '-initrd', machine.initrd],
    ...['-append', 'root=/dev/vda rw quiet console=ttyS0 systemd.show_status=0'],
    // The machine's disk is never written to: every boot begins from the same state.
    ...['-drive', `file=${machine.disk},format=raw,if=virtio,snapshot=on`],
    ...['-drive', `file=${join(scratch, 'data.img')},format=raw,if=virtio,cache=unsafe`],
    ...['-serial', `file:${join(scratch, 'console.log')}`],
    ...['-device', 'virtio-serial', '-chardev', 'stdio,id=out,signal=off'],
    ...['-device', 'virtconsole,chardev=out'],
  ];
}

/** Boots, runs the command, switches off; answers the command's exit status, or `null` when it told none. */
export async function bootAndRun(boot: Boot): Promise<number | null> {
  const scratch = mkdtempSync(join(MACHINE_FOLDER, 'run.'));
  try {
    payloadDisk(boot, join(scratch, 'data.img'));
    const child = spawn('qemu-system-x86_64', qemuArguments(boot, scratch), {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', () => resolve());
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), boot.timeLimitMs);
    const stop = (): void => void child.kill('SIGKILL');
    process.once('exit', stop);
    let status: number | null = null;
    createInterface({ input: child.stdout }).on('line', (line) => {
      const exit = /^vm-exit (\d+)\r?$/.exec(line);
      if (exit === null) boot.onLine(line.replace(/\r$/, ''));
      else status = Number(exit[1]);
    });
    await ended;
    process.off('exit', stop);
    clearTimeout(timer);
    if (status === null) {
      const console = readFileSync(join(scratch, 'console.log'), 'utf8');
      copyFileSync(join(scratch, 'console.log'), join(MACHINE_FOLDER, 'console.log'));
      boot.onLine(`the machine told no end; its console: ${console.trim().split('\n').slice(-5).join('\n')}`);
    }
    return status;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
