/** The pseudo-terminal comes from the container's own devpts, or not at all. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Operation } from '../../../src/runtime/launch-plan/operations.ts';
import { mountDev, mountProc, node, OTHER, ROOT, Sandbox, SPARE } from './sandbox.ts';

const PTS = 24;

const devpts: readonly Operation[] = [
  {
    op: 'makeMount',
    slot: PTS,
    type: 'devpts',
    source: 'devpts',
    options: ['newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    attributes: 0,
  },
  { op: 'attach', slot: PTS, root: ROOT, path: '/dev/pts' },
];

const terminal = (path = '/dev/pts/ptmx'): Operation => ({
  op: 'terminal',
  slot: SPARE,
  root: ROOT,
  path,
  width: 91,
  height: 31,
});

const onTerminal: readonly Operation[] = [
  { op: 'setSession' },
  { op: 'stdio', in: SPARE, out: SPARE, err: SPARE, controlling: 1 },
];

/** Nobody takes the connection while the plan runs, so the master stays open in its queue. */
async function consoleSocket(t: TestContext, box: Sandbox): Promise<string> {
  const path = join(box.directory, 'console');
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(path, resolve);
  });
  t.after(() => server.close());
  return `console=${path}`;
}

test('a terminal of the container: its name, its size, and it controls the session', async (t) => {
  const box = new Sandbox(t);
  const file: Operation[] = [
    { op: 'openTree', slot: OTHER, at: SPARE, path: '', recursive: 0 },
    { op: 'attach', slot: OTHER, root: ROOT, path: '/dev/console' },
  ];
  const outcome = box.run(
    {
      outside: [...mountProc, ...mountDev, node('/dev/null', 1, 3), node('/dev/tty', 5, 0), ...devpts],
      inside: [terminal(), ...file, ...onTerminal],
      script:
        "(tty; stty size; stat -c '%u %g %a' /dev/pts/0; grep console /proc/self/mountinfo; " +
        ': </dev/tty && echo controlled; stty size </dev/console) >/said',
    },
    await consoleSocket(t, box),
  );
  assert.deepEqual([outcome.failure, outcome.status, outcome.stderr], [undefined, 0, '']);
  const lines = readFileSync(box.path('said'), 'utf8').trimEnd().split('\n');
  const mount = lines.splice(3, 1)[0] ?? '';
  assert.deepEqual(lines, ['/dev/pts/0', '31 91', '0 5 620', 'controlled', '31 91']);
  assert.match(mount, / \/0 \/dev\/console rw.* - devpts devpts rw/);
});

test('what only looks like a devpts gives no terminal', (t) => {
  const box = new Sandbox(t);
  const dev = [...mountProc, ...mountDev];
  const link = (path: string, target: string): Operation => ({ op: 'makeLink', root: ROOT, path, target });
  const try_ = (outside: readonly Operation[], error: string, path?: string): void => {
    const text = box.fails({ outside: [...dev, ...outside], inside: [terminal(path), ...onTerminal] }, error);
    assert.equal(text, `terminal: openat2: ${path ?? '/dev/pts/ptmx'}`);
  };
  try_([], 'ENOENT');
  try_([node('/dev/pts/ptmx', 5, 2)], 'ENOTTY');
  try_([link('/dev/pts', '/elsewhere'), { op: 'makePath', root: ROOT, path: '/elsewhere' }], 'ELOOP');
  try_(devpts, 'EINVAL', '/dev/ptmx2');
  try_(devpts, 'ENOTTY', '/ptmx');
  try_([...devpts, link('/dev/ptmx', 'pts/ptmx')], 'ENOTTY', '/dev/ptmx');
  const over: Operation[] = [
    node('/dev/null', 1, 3),
    { op: 'openTree', slot: OTHER, at: ROOT, path: '/dev/null', recursive: 0 },
    { op: 'attach', slot: OTHER, root: ROOT, path: '/dev/pts/ptmx' },
  ];
  try_([...devpts, ...over], 'EXDEV');
});
