import { until } from '../support/command.ts';
import { startDaemon, type TestDaemon } from '../support/daemon.ts';
import { FrameDecoder } from '#api/multiplex.ts';
import type { Violation } from './rules.ts';

export interface LogKillOptions {
  readonly kills: number;
  readonly archive: string;
  readonly image: string;
  readonly report?: (line: string) => void;
}

const PORT = 18_080;
/** Some thousand lines a second, in bursts, until a file says that it is enough. */
const WRITER =
  'i=0; while [ ! -e /stop ]; do j=0; while [ $j -lt 50 ]; do echo line $i; i=$((i+1)); j=$((j+1)); done; sleep 0.01; done; echo end $i';

async function post(daemon: TestDaemon, path: string, body?: unknown): Promise<unknown> {
  const answer = await daemon.api(path, { method: 'POST', ...(body !== undefined && { body }) });
  if (answer.status >= 300) throw new Error(`${path}: ${answer.status} ${answer.body.toString()}`);
  return answer.json;
}

async function created(daemon: TestDaemon, body: Record<string, unknown>): Promise<string> {
  return ((await post(daemon, '/containers/create', body)) as { Id: string }).Id;
}

async function linesOf(daemon: TestDaemon, id: string): Promise<string[]> {
  const { body } = await daemon.api(`/containers/${id}/logs?stdout=1&stderr=1`);
  const frames = new FrameDecoder().decode(body);
  return Buffer.concat(frames.map((frame) => frame.data))
    .toString()
    .split('\n')
    .slice(0, -1);
}

/** L1: every number once, in order, from the first on. */
function firstProblem(lines: readonly string[]): string | null {
  const at = lines.findIndex((line, index) => line !== `line ${index}` && line !== `end ${index}`);
  return at < 0 ? null : `line ${at} is ${JSON.stringify(lines[at])}`;
}

async function answers(daemon: TestDaemon, host: string): Promise<boolean> {
  const { stdout } = await daemon.inNetwork(['busybox', 'nc', '-w', '2', host, String(PORT)], { input: '' });
  return stdout.includes('served');
}

/**
 * Kills the daemon while a container prints numbered lines and another serves a published port: no line is
 * lost, repeated or torn (L1), the port answers while the daemon is dead and after it, and is free when its
 * container is gone (S8).
 */
export async function killUnderLogs(
  options: LogKillOptions,
): Promise<{ violations: Violation[]; lines: number }> {
  const violations: Violation[] = [];
  const say = (rule: string, text: string): void => void violations.push({ rule, text });
  await using daemon = await startDaemon();
  await daemon.loadImage(options.archive);
  const writer = await created(daemon, { Image: options.image, Cmd: ['sh', '-c', WRITER] });
  const HostConfig = { PortBindings: { '80/tcp': [{ HostPort: String(PORT) }] } };
  const serve = 'while :; do echo served | nc -l -p 80 -w 1; done';
  const server = {
    Image: options.image,
    Cmd: ['sh', '-c', serve],
    ExposedPorts: { '80/tcp': {} },
    HostConfig,
  };
  const serving = await created(daemon, server);
  await post(daemon, `/containers/${writer}/start`);
  await post(daemon, `/containers/${serving}/start`);
  const isServed = async (when: string): Promise<void> => {
    await until(async () => ((await answers(daemon, '198.18.0.1')) ? true : undefined), {
      timeoutMs: 5000,
      what: when,
    }).catch(() => say('S8', `the published port does not answer ${when}`));
  };
  await isServed('before any kill');
  for (let kill = 0; kill < options.kills; kill++) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    await daemon.kill('SIGKILL');
    await isServed('while the daemon is dead');
    await daemon.start();
    const lines = await linesOf(daemon, writer);
    const problem = firstProblem(lines);
    if (problem !== null) say('L1', `after kill ${kill + 1}: ${problem}`);
    options.report?.(`kill ${kill + 1} under logs: ${lines.length} lines, ${violations.length} violations`);
  }
  await isServed('after all kills');
  const another = await created(daemon, server);
  const taken = await daemon.api(`/containers/${another}/start`, { method: 'POST' });
  if (taken.status < 400) say('S8', `the port was given away a second time: ${taken.status}`);
  await daemon.api(`/containers/${serving}?force=1`, { method: 'DELETE' });
  const free = await daemon.api(`/containers/${another}/start`, { method: 'POST' });
  if (free.status !== 204) say('S8', `the port is not free: ${free.body.toString()}`);
  const stop = await post(daemon, `/containers/${writer}/exec`, { Cmd: ['touch', '/stop'] });
  await post(daemon, `/exec/${(stop as { Id: string }).Id}/start`, { Detach: true });
  await post(daemon, `/containers/${writer}/wait`);
  const lines = await linesOf(daemon, writer);
  const problem = firstProblem(lines);
  if (problem !== null) say('L1', `at the end: ${problem}`);
  if (lines.at(-1) !== `end ${lines.length - 1}`)
    say('L1', `the last line is ${JSON.stringify(lines.at(-1))}`);
  return { violations, lines: lines.length };
}
