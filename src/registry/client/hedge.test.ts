import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RegistryError } from '../errors.ts';
import { firstGood } from './hedge.ts';

interface Plan {
  readonly afterMs: number;
  readonly fails?: number;
}

interface Ran {
  readonly by: string;
  readonly started: readonly string[];
  readonly aborted: readonly string[];
}

async function race(plans: Readonly<Record<string, Plan>>, signal?: AbortSignal): Promise<Ran> {
  const started: string[] = [];
  const aborted: string[] = [];
  const won = await firstGood({
    candidates: Object.keys(plans),
    silenceMs: 60,
    signal: signal ?? new AbortController().signal,
    isAuthority: (name) => name === 'origin',
    onLaggard: () => undefined,
    attempt: (name, ending) =>
      new Promise<string>((resolve, reject) => {
        started.push(name);
        ending.addEventListener('abort', () => aborted.push(name));
        const { afterMs, fails } = plans[name] ?? { afterMs: 0 };
        const end = (): void => {
          if (fails === undefined) resolve(name);
          else reject(new RegistryError(name, { status: fails }));
        };
        if (afterMs === 0) end();
        else setTimeout(end, afterMs);
      }),
  });
  return { by: won.by, started, aborted };
}

test('the first one answers: nobody else is asked', async () => {
  const plans = { a: { afterMs: 1 }, origin: { afterMs: 1 } };
  assert.deepEqual(await race(plans), { by: 'a', started: ['a'], aborted: [] });
});

test('silence brings the next one, and whoever is first then wins', async () => {
  const plans = { a: { afterMs: 2000 }, b: { afterMs: 1 }, origin: { afterMs: 1 } };
  assert.deepEqual(await race(plans), { by: 'b', started: ['a', 'b'], aborted: ['a'] });
  const late = { a: { afterMs: 100 }, b: { afterMs: 2000 }, origin: { afterMs: 2000 } };
  assert.equal((await race(late)).by, 'a');
});

test('a failure brings the next one at once', async () => {
  const plans = { a: { afterMs: 0, fails: 404 }, b: { afterMs: 0, fails: 500 }, origin: { afterMs: 1 } };
  assert.deepEqual((await race(plans)).started, ['a', 'b', 'origin']);
});

test('who was asked later still has its time when an earlier one fails', async () => {
  const plans = { a: { afterMs: 80, fails: 0 }, b: { afterMs: 40 }, origin: { afterMs: 1 } };
  assert.deepEqual((await race(plans)).started, ['a', 'b']);
});

test('the refusal of the authority ends it, its silence does not', async () => {
  const plans = { a: { afterMs: 500 }, origin: { afterMs: 1, fails: 404 } };
  await assert.rejects(race(plans), { message: 'origin', status: 404 });
  const unreachable = { a: { afterMs: 150 }, origin: { afterMs: 1, fails: 0 } };
  assert.equal((await race(unreachable)).by, 'a');
});

test('all fail: the authority says why; a caller that leaves ends it', async () => {
  const plans = { origin: { afterMs: 1, fails: 500 }, a: { afterMs: 1, fails: 404 } };
  await assert.rejects(race(plans), { message: 'origin' });
  const leaving = new AbortController();
  setTimeout(() => leaving.abort(new Error('left')), 10);
  await assert.rejects(race({ a: { afterMs: 500 } }, leaving.signal), /left/);
});
