/**
 * `npm run test:vm [-- NAME…]`: the tests of test/vm, and those of other rooms that tools/vm/plan.ts lists,
 * in a virtual machine with Debian 12: kernel 6.1, systemd, cgroup v2, AppArmor, runc and crun. Then the
 * power is cut while the daemon works, and the machine boots again. A NAME is a part of a file's name in
 * test/vm, or the path of a test file or folder elsewhere. Without hardware virtualisation all is emulated
 * and takes minutes. GANTRY_VM_DIR says where the machine's files are kept (gantry-vm in /var/tmp). At the
 * end stand rows for the table in docs/RELIABILITY.md.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { arch } from 'node:os';
import { join } from 'node:path';
import { buildAll } from './build.ts';
import { ROOT } from './paths.ts';
import { boot, makeDataDisk } from './vm/boot.ts';
import { MACHINE_FOLDER, mustRun, provideMachine } from './vm/machine.ts';
import { stagePayload } from './vm/payload.ts';
import { commandOf, type Plan, planOf } from './vm/plan.ts';
import { Tally } from './vm/tally.ts';

const TIME_LIMIT_MS = 60 * 60_000;

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function runPlan(plan: Plan): Promise<Tally> {
  const machine = provideMachine(print);
  await buildAll();
  const scratch = mkdtempSync(join(MACHINE_FOLDER, 'run.'));
  const tally = new Tally(print);
  try {
    const [folder, dataDisk] = [join(scratch, 'payload'), join(scratch, 'data')];
    stagePayload(folder);
    makeDataDisk(dataDisk, { folder, command: commandOf(plan) });
    rmSync(folder, { recursive: true });
    const options = { machine, dataDisk, timeLimitMs: TIME_LIMIT_MS, onLine: tally.take };
    const first = await boot(options);
    if (first.kind === 'lost') tally.fail(`the machine told no end: ${first.console}`);
    else if (plan.cutsPower !== (first.kind === 'cut'))
      tally.fail('the machine ended otherwise than planned');
    if (first.kind === 'cut') {
      print('the power was cut');
      const second = await boot(options);
      if (second.kind !== 'done') tally.fail('the machine did not come back after the power cut');
    }
    for (const file of plan.groups.flat()) if (!tally.has(file)) tally.fail(`nothing was told of ${file}`);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return tally;
}

if (arch() !== 'x64') throw new Error('the virtual machine is made for x86_64 only');
const plan = planOf(process.argv.slice(2));
const commit = mustRun('git', ['describe', '--always', '--dirty=, changed'], ROOT).trim();
const tally = await runPlan(plan);
print(`\n${tally.tables(new Date().toISOString().slice(0, 10), commit)}\n`);
const [passed, failed, skipped] = [tally.count('passed'), tally.count('failed'), tally.count('skipped')];
print(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = passed > 0 && failed === 0 ? 0 : 1;
