import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../../support/command.ts';
import { startDaemon, type TestDaemon } from '../../support/daemon.ts';
import { imageArchive } from '../../support/images.ts';
import { exchange, expectedForm, recordedForm, type Golden, type Request } from './api-replay.ts';

/*
 * Replays recorded exchanges of the reference engine in their order, and compares status and body. Whatever
 * differs stands in api-goldens-accepted.json with its reason; an entry there that is equal fails, too.
 */

const REFERENCE = join(import.meta.dirname, '../../reference');
const NONE = { NetworkMode: 'none' };

/** What has to happen in between, before the exchange of that name. Answers are not looked at. */
const BEFORE: Readonly<Record<string, readonly Request[]>> = {
  'images/delete-404': [{ method: 'DELETE', path: '/images/example.com/a/b:v1' }],
  'containers/create-conflict': [
    create('c1', {
      Cmd: ['sh', '-c', 'echo out; sleep 0.2; echo err >&2; sleep 600'],
      Env: ['A=1'],
      Labels: { l: 'v' },
      HostConfig: { ...NONE, Memory: 67108864, Binds: ['cv:/v'] },
    }),
  ],
  'containers/unpause-not-paused': [post('/containers/c1/unpause')],
  'containers/rename-conflict': [post('/containers/c1/rename?name=c2')],
  'containers/wait-404': [post('/containers/c2/wait')],
  'containers/start-not-found-cmd': [post('/containers/c2/kill')],
  'containers/inspect-nf-state': [post('/containers/nf/start')],
  'containers/prune-filter-bad': [post('/containers/prune')],
  'containers/logs-tty': [
    create('ct', { Tty: true, Cmd: ['echo', 'x'], HostConfig: NONE }),
    post('/containers/ct/start'),
    post('/containers/ct/wait'),
  ],
  'containers/attach-stdin': [
    create('ci', { OpenStdin: true, StdinOnce: true, AttachStdin: true, Cmd: ['cat'], HostConfig: NONE }),
  ],
  'volumes/create-again': [
    { method: 'DELETE', path: '/containers/ci?force=1' },
    { method: 'DELETE', path: '/containers/ct?force=1' },
    { ...post('/volumes/create'), body: { Name: 'v1', Labels: { a: 'b' } } },
  ],
  'volumes/create-bad-name': [{ ...post('/volumes/create'), body: {} }],
  'volumes/delete-409': [create('vu', { HostConfig: { Binds: ['v1:/x'] } })],
  'volumes/delete': [{ method: 'DELETE', path: '/containers/vu' }],
  'containers/port-binding-without-exposed-port': [
    create('pn', {
      Cmd: ['sleep', '60'],
      HostConfig: { PortBindings: { '80/tcp': [{ HostPort: '18301' }] } },
    }),
    post('/containers/pn/start'),
  ],
  'networks/connect': [{ method: 'DELETE', path: '/containers/pn?force=1' }],
};

function post(path: string): Request {
  return { method: 'POST', path };
}

function create(name: string, config: object): Request {
  return { ...post(`/containers/create?name=${name}`), body: { Image: 'busybox', ...config } };
}

class Replay {
  readonly #daemon: TestDaemon;
  readonly #execs: string[] = [];
  #saved: Buffer | undefined;

  constructor(daemon: TestDaemon) {
    this.#daemon = daemon;
  }

  async #quiet(wanted: Request): Promise<Buffer> {
    return (await exchange(this.#daemon.socket, { ...wanted, path: `/v1.51${wanted.path}` })).body;
  }

  /** Facts that come by themselves, after a while. */
  async #wait(id: string): Promise<void> {
    const has = async (path: string, text: string): Promise<true | undefined> =>
      (await this.#quiet({ method: 'GET', path })).includes(text) ? true : undefined;
    if (id === 'containers/top') {
      const path = '/containers/c1/logs?stdout=1&stderr=1';
      await until(() => has(path, 'err'), { what: 'output of c1' });
    }
    if (id === 'exec/inspect-after')
      await until(() => has(`/exec/${this.#execs.at(-1)}/json`, '"Running":false'), {
        what: 'end of the exec',
      });
  }

  async #body(golden: Golden): Promise<unknown> {
    if (golden.request !== '<binary>') return golden.request;
    if (golden.id === 'images/import') return readFile(await imageArchive('rootfs'));
    if (golden.id.startsWith('images/load'))
      return (this.#saved ??= await this.#quiet({ method: 'GET', path: '/images/busybox/get' }));
    return Buffer.alloc(1024);
  }

  #path(golden: Golden): string {
    const exec = golden.id === 'exec/resize-not-running' ? this.#execs[0] : this.#execs.at(-1);
    return golden.path.replace('/exec/<id64>/', `/exec/${exec ?? 'none'}/`);
  }

  /** What differs, or null. */
  async run(golden: Golden): Promise<string | null> {
    for (const step of BEFORE[golden.id] ?? []) await this.#quiet(step);
    await this.#wait(golden.id);
    const body = await this.#body(golden);
    const isInput = golden.id === 'containers/attach-stdin';
    const asked = exchange(this.#daemon.socket, {
      method: golden.method,
      path: this.#path(golden),
      ...(golden.requestHeaders !== undefined && { headers: golden.requestHeaders }),
      ...(body !== undefined && { body }),
      ...(isInput && { input: 'echoed\n' }),
    });
    if (isInput) await this.#quiet(post('/containers/ci/start'));
    const answer = await asked;
    if (golden.id.startsWith('exec/create') && answer.status === 201)
      this.#execs.push((JSON.parse(answer.body.toString()) as { Id: string }).Id);
    const { dataRoot, execRoot, host } = this.#daemon;
    const places = { dataRoot, execRoot, host };
    try {
      assert.equal(answer.status, golden.status);
      assert.deepEqual(recordedForm(answer, golden, places), expectedForm(golden, places));
      return null;
    } catch (error) {
      return `${(error as Error).message}\n${answer.body.toString('utf8').slice(0, 300)}`;
    }
  }
}

test('recorded exchanges are answered as the reference answers them', {
  timeout: 180_000,
}, async (context) => {
  const lines = (await readFile(join(REFERENCE, 'api-goldens.jsonl'), 'utf8')).trim().split('\n');
  const text = await readFile(join(REFERENCE, 'api-goldens-accepted.json'), 'utf8');
  const accepted = JSON.parse(text) as Readonly<Record<string, readonly string[]>>;
  const reasons = new Map(
    Object.entries(accepted).flatMap(([why, ids]) => ids.map((id) => [id, why] as const)),
  );
  await using daemon = await startDaemon({ cgroupParent: null });
  const replay = new Replay(daemon);
  const different: string[] = [];
  const better: string[] = [];
  for (const golden of lines.map((line) => JSON.parse(line) as Golden)) {
    const difference = await replay.run(golden);
    if (difference !== null && !reasons.has(golden.id)) different.push(`${golden.id}: ${difference}`);
    if (difference === null && reasons.has(golden.id)) better.push(golden.id);
  }
  context.diagnostic(
    `${lines.length - reasons.size} of ${lines.length} exchanges equal, ${reasons.size} accepted`,
  );
  assert.equal(different.length, 0, `differences without a reason:\n${different.join('\n\n')}`);
  assert.deepEqual(better, [], 'equal now: take them off api-goldens-accepted.json');
});
