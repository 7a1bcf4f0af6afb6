import assert from 'node:assert/strict';
import { appendFile, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { LIMITS } from '#base/limits.ts';
import { silentLog } from '#base/log.ts';
import { readLog, type ReadLogRequest } from './read-log.ts';

const TIME = '2024-05-06T07:08:09.12Z';
const line = (text: string, stream = 'stdout', time = TIME): string =>
  `${JSON.stringify({ log: `${text}\n`, stream, time })}\n`;

async function withLog(task: (path: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'log-'));
  try {
    await task(join(directory, 'c-json.log'));
  } finally {
    await rm(directory, { recursive: true });
  }
}

function request(path: string, change: Partial<ReadLogRequest> = {}): ReadLogRequest {
  return {
    path,
    window: { stdout: true, stderr: true, since: null, until: null },
    style: { timestamps: false, details: null },
    tail: null,
    signal: new AbortController().signal,
    log: silentLog,
    follow: null,
    ...change,
  };
}

async function text(wish: ReadLogRequest): Promise<string> {
  let all = '';
  for await (const frame of readLog(wish)) all += Buffer.from(frame.data).toString();
  return all;
}

test('all, the last lines over rotated files, one stream, timestamps and details', async () => {
  await withLog(async (path) => {
    await writeFile(`${path}.2`, line('one'));
    await writeFile(`${path}.1`, line('two') + line('three', 'stderr'));
    await writeFile(path, line('four'));
    assert.equal(await text(request(path)), 'one\ntwo\nthree\nfour\n');
    assert.equal(await text(request(path, { tail: 2 })), 'three\nfour\n');
    assert.equal(await text(request(path, { tail: 3 })), 'two\nthree\nfour\n');
    assert.equal(await text(request(path, { tail: 0 })), '');
    assert.equal(await text(request(path, { tail: 99 })), 'one\ntwo\nthree\nfour\n');
    assert.equal(
      await text(request(path, { window: { stdout: false, stderr: true, since: null, until: null } })),
      'three\n',
    );
    assert.equal(
      await text(request(path, { tail: 1, style: { timestamps: true, details: 'a=1' } })),
      '2024-05-06T07:08:09.120000000Z a=1 four\n',
    );
  });
});

test("since and until cut by the records' times", async () => {
  await withLog(async (path) => {
    await writeFile(
      path,
      line('a', 'stdout', '2024-01-01T00:00:00Z') +
        line('b', 'stdout', '2024-01-02T00:00:00Z') +
        line('c', 'stdout', '2024-01-03T00:00:00Z'),
    );
    const nanos = (time: string): bigint => BigInt(Date.parse(time)) * 1_000_000n;
    const window = {
      stdout: true,
      stderr: true,
      since: nanos('2024-01-02T00:00:00Z'),
      until: nanos('2024-01-02T12:00:00Z'),
    };
    assert.equal(await text(request(path, { window })), 'b\n');
  });
});

test('a damaged record is skipped and said, the rest is read', async () => {
  await withLog(async (path) => {
    await writeFile(
      path,
      `${line('good')}{"log":"torn${'\0'.repeat(10)}\n${'x'.repeat(LIMITS.logLineBytes + 1)}\n${line('after')}{"log":"no end`,
    );
    const warnings: unknown[] = [];
    const log = { ...silentLog, warn: (_text: string, fields?: object) => void warnings.push(fields) };
    assert.equal(await text(request(path, { log })), 'good\nafter\n');
    assert.deepEqual(warnings, [{ path, count: 2 }]);
  });
});

test('a follower sees what is appended, across a rotation, and ends with the writer', async () => {
  await withLog(async (path) => {
    await writeFile(path, line('first'));
    let writing = true;
    let wake = (): void => undefined;
    const follow = {
      isWriting: () => writing,
      onChange: (listener: () => void) => ((wake = listener), () => undefined),
    };
    const reader = readLog(request(path, { follow }));
    const next = async (): Promise<string> => Buffer.from((await reader.next()).value?.data ?? '').toString();
    assert.equal(await next(), 'first\n');
    const second = next();
    await appendFile(path, line('second'));
    assert.equal(await second, 'second\n');
    await appendFile(path, line('third'));
    await rename(path, `${path}.1`);
    await writeFile(path, line('fourth'));
    assert.equal(await next(), 'third\n');
    assert.equal(await next(), 'fourth\n');
    const last = reader.next();
    await appendFile(path, line('last'));
    writing = false;
    wake();
    assert.equal(Buffer.from((await last).value?.data ?? '').toString(), 'last\n');
    assert.equal((await reader.next()).done, true);
  });
});

test('no log yet is an empty log', async () => {
  await withLog(async (path) => assert.equal(await text(request(path)), ''));
});
