/**
 * What a power cut leaves: when a push is answered, its bytes, their name and the line of the index are on
 * the disk, in this order. Seen in the system calls of the server, since a disk that forgets is not at hand.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { configContent, imageOf, randomContent } from '../../conformance/distribution/content.ts';
import { locationOf, type Registry, withQuery } from '../../conformance/distribution/http.ts';
import { until } from '../../support/command.ts';
import { forget, scratch, startOwn } from '../../conformance/distribution/registries.ts';

interface Call {
  readonly name: string;
  readonly args: string;
  /** Places of its beginning and its end in the trace. */
  readonly from: number;
  readonly to: number;
}

/** Calls that another thread's line cuts in two are put together. */
function callsOf(trace: string): Call[] {
  const open = new Map<string, { readonly from: number; readonly text: string }>();
  const calls: Call[] = [];
  const add = (text: string, from: number, to: number): void => {
    const [, name = '', args = ''] = /^(\w+)\((.*)\) += +\d+/.exec(text) ?? [];
    if (name !== '') calls.push({ name, args, from, to });
  };
  for (const [at, line] of trace.split('\n').entries()) {
    const [, thread = '', text = ''] = /^(\d+) +(.*)$/.exec(line) ?? [];
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(text);
    if (text.endsWith(' <unfinished ...>')) open.set(thread, { from: at, text: text.slice(0, -17) });
    else if (resumed === null) add(text, at, at);
    else {
      const begun = open.get(thread);
      if (begun !== undefined) add(begun.text + (resumed[1] ?? ''), begun.from, at);
      open.delete(thread);
    }
  }
  return calls;
}

/** The steps of one acknowledged content: each has ended before the next one begins. */
function assertOrder(calls: readonly Call[], hex: string, op: 'blob' | 'manifest'): void {
  const find = (what: string, of: (call: Call) => boolean, after = -1): Call => {
    const found = calls.find((call) => call.from > after && of(call));
    assert.ok(found !== undefined, `${what} is missing, or too late, for ${op} ${hex.slice(0, 12)}`);
    return found;
  };
  const renamed = find('its name', ({ name, args }) => name.startsWith('rename') && args.includes(hex));
  const [, temporary = ''] = /"([^"]+)"/.exec(renamed.args) ?? [];
  const linked = find('its link', ({ name, args }) => name.startsWith('link') && args.includes(temporary));
  const [, upload = ''] = /"([^"]+)"/.exec(linked.args) ?? [];
  const flushed = find('its flush', ({ name, args }) => name === 'fsync' && args.includes(temporary));
  assert.ok(flushed.to < renamed.from, 'flushed before it has its name');
  const writes = calls.filter(({ name, args }) => name.includes('write') && args.includes(`<${upload}>`));
  assert.ok(writes.length > 0 && writes.every(({ to }) => to < flushed.from), 'written before it is flushed');
  const folder = find(
    'the flush of its name',
    ({ name, args }) => name === 'fsync' && args.endsWith('content/blobs/sha256>'),
    renamed.to,
  );
  const line = find(
    'its line in the index',
    ({ name, args }) => name === 'pwrite64' && args.includes('.journal>') && args.includes(`"op\\":\\"${op}`),
    folder.to,
  );
  const kept = find(
    'the flush of the index',
    ({ name, args }) => name === 'fdatasync' && args.includes('.journal>'),
    line.to,
  );
  find('the answer', ({ name, args }) => /write|send/.test(name) && args.includes('HTTP/1.1 201'), kept.to);
  const early = calls.filter(
    ({ name, args, from }) =>
      /write|send/.test(name) && args.includes('HTTP/1.1 201') && from > linked.to && from < kept.to,
  );
  assert.deepEqual(early, [], 'nothing is acknowledged before');
}

async function traced(t: TestContext): Promise<{ registry: Registry; calls(): Promise<Call[]> }> {
  const directory = scratch();
  const trace = join(directory, 'trace');
  const calls = 'write,writev,pwrite64,sendto,sendmsg,fsync,fdatasync,link,linkat,rename,renameat,renameat2';
  const tracer = ['strace', '-D', '-f', '-qq', '-y', '-s', '48', '-e', `trace=${calls}`, '-e', 'signal=none'];
  const running = await startOwn({ directory, under: [...tracer, '-o', trace] });
  t.after(async () => {
    await running.kill('SIGKILL');
    forget(directory);
  });
  return { registry: running.registry, calls: async () => callsOf(await readFile(trace, 'utf8')) };
}

test('a blob and a manifest are on the disk, bytes, name and index, before they are acknowledged', async (t) => {
  const { registry, calls } = await traced(t);
  const [config, layer] = [configContent(), randomContent(700_000)];
  const whole = withQuery('/v2/a/blobs/uploads/', { digest: config.digest });
  assert.equal((await registry.ask('POST', whole, { body: config.bytes })).status, 201);
  const opened = await registry.ask('POST', '/v2/a/blobs/uploads/', { body: Buffer.alloc(0) });
  const part = { headers: { 'content-range': '0-299999' }, body: layer.bytes.subarray(0, 300_000) };
  const location = locationOf(await registry.ask('PATCH', locationOf(opened), part));
  const rest = { headers: { 'content-range': '300000-699999' }, body: layer.bytes.subarray(300_000) };
  assert.equal((await registry.ask('PUT', withQuery(location, { digest: layer.digest }), rest)).status, 201);
  const manifest = imageOf(config, [layer]);
  const headers = { 'content-type': manifest.mediaType };
  const put = await registry.ask('PUT', '/v2/a/manifests/v', { headers, body: manifest.bytes });
  assert.equal(put.status, 201);
  const contents = [config, layer, manifest].map(({ digest }) => digest.slice(7));
  const all = await until(
    async () => {
      const found = await calls();
      const answers = found.filter(({ args }) => args.includes('HTTP/1.1 201'));
      return answers.length === contents.length ? found : undefined;
    },
    { what: 'the whole trace' },
  );
  for (const hex of contents) assertOrder(all, hex, hex === contents[2] ? 'manifest' : 'blob');
  const flushes = all.filter(({ name, args }) => name.endsWith('sync') && /content|journal/.test(args));
  const last = flushes.slice(-3);
  assert.equal(last.length, 3);
  for (const one of last) {
    const without = all.filter((call) => call !== one);
    assert.throws(() => assertOrder(without, contents[2] ?? '', 'manifest'), assert.AssertionError, one.args);
  }
});
