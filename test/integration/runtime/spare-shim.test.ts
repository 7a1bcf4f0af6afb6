/** Shims that are kept ready for the next start. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { createLog } from '#base/log.ts';
import { cannotRun, makeWorld, waitFor, type World } from './support.ts';

function shimPid(world: World, id: string): number {
  const text = readFileSync(join(world.execRoot, 'tasks', id, 'shim.pid'), 'utf8');
  return (JSON.parse(text) as { pid: number }).pid;
}

/** Those that no container has. */
async function spares(world: World, known: readonly number[]): Promise<number[]> {
  const { cgroups, processes } = world.kernel;
  const parents = (): Map<number, number> =>
    new Map(
      [...cgroups.processes(world.shimCgroup)]
        .filter((pid) => !known.includes(pid))
        .map((pid) => [pid, processes.facts(pid)?.parentPid ?? 0]),
    );
  const found = (): number[] => [...parents()].filter(([, parent]) => parent === 1).map(([pid]) => pid);
  // The half that was spawned may still be about to end; what stays is its starter.
  await waitFor(() => {
    const [spare, ...others] = found();
    const starters = [...parents().values()].filter((parent) => parent === spare);
    return spare !== undefined && others.length === 0 && starters.length + 1 === parents().size;
  });
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

  test('one whose starter was killed forks another', async (t) => {
    const world = makeWorld(t);
    const tasks = world.service(undefined, { spareShims: 1 });
    const first = await world.run(tasks, ['sleep', '1000']);
    const [spare = 0] = await spares(world, [shimPid(world, first.id)]);
    const { cgroups, processes } = world.kernel;
    const starterOf = (): number | undefined =>
      [...cgroups.processes(world.shimCgroup)].find((pid) => processes.facts(pid)?.parentPid === spare);
    const starter = starterOf();
    assert.ok(starter !== undefined);
    process.kill(starter, 'SIGKILL');
    await waitFor(() => [undefined, 'Z'].includes(processes.facts(starter)?.state));
    const second = await world.run(tasks, ['sleep', '1000']);
    assert.equal(shimPid(world, second.id), spare);
    for (const { id } of [first, second]) await tasks.delete(id);
    await tasks.close();
  });

  test('one that is killed in the instant of a start fails that start at most, and says so', async (t) => {
    const world = makeWorld(t);
    const tasks = world.service(undefined, { spareShims: 1 });
    const known: number[] = [];
    const ids: string[] = [];
    for (let round = 0; round < 5; round++) {
      const { id } = await world.run(tasks, ['sleep', '1000']);
      ids.push(id);
      known.push(shimPid(world, id));
      const [spare = 0] = await spares(world, known);
      const starting = world.run(tasks, ['sleep', '1000']);
      process.kill(spare, 'SIGKILL');
      const began = performance.now();
      const [next] = await Promise.allSettled([starting]);
      assert.ok(performance.now() - began < 5000, 'it is not waited for');
      if (next.status === 'rejected') {
        assert.match(
          (next.reason as Error).message,
          /^failed to create task for container: its shim was killed$/,
        );
        continue;
      }
      ids.push(next.value.id);
      known.push(shimPid(world, next.value.id));
      assert.notEqual(known.at(-1), spare);
    }
    assert.deepEqual(
      readdirSync(join(world.execRoot, 'tasks')).toSorted(),
      ids.toSorted(),
      'nothing is left',
    );
    for (const id of ids) await tasks.delete(id);
    await tasks.close();
  });

  test('without room for one that is told, and the next start makes its own', async (t) => {
    const world = makeWorld(t);
    const lines: string[] = [];
    const log = createLog({ level: 'warn', format: 'json', write: (line) => lines.push(line) });
    let isFull = false;
    const { sockets } = world.kernel;
    const crowded = new Proxy(sockets, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        if (name !== 'pair' || !isFull) return value.bind(target) as unknown;
        return () => {
          throw new Error('EMFILE: too many open files');
        };
      },
    });
    const kernel = { ...world.kernel, sockets: crowded };
    const tasks = world.service(undefined, { spareShims: 1, kernel, log });
    const first = await world.run(tasks, ['sleep', '1000']);
    isFull = true;
    await waitFor(() => lines.length > 0);
    assert.match(lines.join(''), /"no shim is kept ready".*EMFILE/);
    isFull = false;
    const second = await world.run(tasks, ['sleep', '1000']);
    await spares(
      world,
      [first, second].map(({ id }) => shimPid(world, id)),
    );
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
