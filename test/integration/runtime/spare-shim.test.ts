/** Shims that are kept ready for the next start. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { cannotRun, makeWorld, waitFor, type World } from './support.ts';

function shimPid(world: World, id: string): number {
  const text = readFileSync(join(world.execRoot, 'tasks', id, 'shim.pid'), 'utf8');
  return (JSON.parse(text) as { pid: number }).pid;
}

/** Those that no container has. */
async function spares(world: World, known: readonly number[]): Promise<number[]> {
  const found = (): number[] =>
    [...world.kernel.cgroups.processes(world.shimCgroup)].filter((pid) => !known.includes(pid));
  // The half that was spawned may still be about to end.
  await waitFor(() => found().length === 1 && world.kernel.processes.facts(found()[0] ?? 0)?.parentPid === 1);
  return found();
}

describe('spare shims', { skip: cannotRun() }, () => {
  test('the next start takes the one that is ready, and shows its id', async (t) => {
    const world = makeWorld(t);
    const tasks = world.service(undefined, { spareShims: 1 });
    const first = await world.run(tasks, ['sleep', '1000']);
    const [spare] = await spares(world, [shimPid(world, first.id)]);
    const second = await world.run(tasks, ['sleep', '1000']);
    assert.equal(shimPid(world, second.id), spare);
    assert.equal(
      readFileSync(`/proc/${spare}/cmdline`, 'utf8').replaceAll('\0', ' '),
      `gantry-shim serve ${second.id} `,
    );
    await spares(
      world,
      [first, second].map(({ id }) => shimPid(world, id)),
    );
    for (const { id } of [first, second]) await tasks.delete(id);
    await tasks.close();
  });

  test('one that was killed is nobody’s loss', async (t) => {
    const world = makeWorld(t);
    const tasks = world.service(undefined, { spareShims: 1 });
    const first = await world.run(tasks, ['sleep', '1000']);
    const known = [shimPid(world, first.id)];
    const [spare = 0] = await spares(world, known);
    process.kill(spare, 'SIGKILL');
    await waitFor(() => world.kernel.processes.facts(spare) === null);
    const second = await world.run(tasks, ['sleep', '1000']);
    assert.notEqual(shimPid(world, second.id), spare);
    for (const { id } of [first, second]) await tasks.delete(id);
    await tasks.close();
  });

  test('it ends with the service, and those of containers do not', async (t) => {
    const world = makeWorld(t);
    const tasks = world.service(undefined, { spareShims: 1 });
    const { id } = await world.run(tasks, ['sleep', '1000']);
    const own = shimPid(world, id);
    await spares(world, [own]);
    await tasks.close();
    await waitFor(() => [...world.kernel.cgroups.processes(world.shimCgroup)].join() === String(own));
  });
});
