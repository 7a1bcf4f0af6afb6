import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { until } from '../../support/command.ts';
import { busyboxArchive } from '../../support/images.ts';
import { pull, registryTest } from '../../support/registry/fixture.ts';
import { OPEN_REGISTRY } from '../../support/registry/plan.ts';

const R = '127.0.0.1:5000';
const SCHED_OTHER = 0;
const SCHED_RR = 2;

interface Stat {
  readonly parent: number;
  readonly policy: number;
}

function statOf(path: string): Stat {
  const stat = readFileSync(`${path}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { parent: Number(fields[1]), policy: Number(fields[38]) };
}

/** Of all threads of a process. */
function policies(pid: number): readonly number[] {
  return readdirSync(`/proc/${pid}/task`).map((tid) => statOf(`/proc/${pid}/task/${tid}`).policy);
}

registryTest(
  'while an image comes the daemon goes first; what it starts then does not, nor the daemon afterwards',
  {
    hosts: { [R]: [OPEN_REGISTRY] },
    tls: 'none',
    images: [{ repository: 'a', tags: ['v'], layers: [[{ path: 'f', content: randomBytes(600_000) }]] }],
    faults: [{ method: 'GET', path: '/blobs/', act: { kind: 'slow', bytesPerSecond: 200_000 } }],
  },
  async ({ daemon }) => {
    const { archive, reference } = await busyboxArchive();
    await daemon.mustDocker(['load', '-i', archive]);
    const pulled = pull(daemon, `${R}/a:v`);
    // With one processor alone the daemon takes turns like everybody else.
    const during = availableParallelism() > 1 ? SCHED_RR : SCHED_OTHER;
    const main = (): number => statOf(`/proc/${daemon.pid}`).policy;
    await until(() => main() === during || undefined, { what: 'the pull' });
    await daemon.mustDocker(['run', '-d', '--name', 'box', reference, 'sleep', '60']);
    await daemon.mustDocker(['exec', '-d', 'box', 'sleep', '61']);
    assert.equal(main(), during, 'the pull is still on');
    const init = Number(await daemon.mustDocker(['inspect', '-f', '{{.State.Pid}}', 'box']));
    const shim = statOf(`/proc/${init}`).parent;
    const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    const children = all.flatMap((pid) => {
      try {
        return statOf(`/proc/${pid}`).parent === shim ? [Number(pid)] : [];
      } catch {
        return [];
      }
    });
    assert.ok(children.length >= 2, 'the program and the exec');
    for (const pid of [shim, ...children])
      assert.ok(
        policies(pid).every((policy) => policy === SCHED_OTHER),
        `${pid}`,
      );
    assert.equal((await pulled).error, '');
    assert.equal(main(), SCHED_OTHER);
    await daemon.mustDocker(['rm', '-f', 'box']);
  },
);
