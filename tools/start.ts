/**
 * `npm start`: builds, starts the daemon if none answers, and greets from inside a container. Safe to run
 * again.
 */
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { kernelProblem } from '#runtime/host-facts.ts';
import { buildAll } from './build.ts';
import { Engine, startDaemon, unframe } from './set-up/engine.ts';
import { EMBEDDED } from './set-up/images.ts';

interface Places {
  readonly socket: string;
  readonly pidFile: string;
  readonly logFile: string;
  /** The daemon's arguments; none where its defaults are meant. */
  readonly args: readonly string[];
}

function placesOf(root: string | undefined): Places {
  if (root === undefined)
    return {
      socket: '/run/gantry.sock',
      pidFile: '/run/gantry.pid',
      logFile: '/var/log/gantry/gantryd.log',
      args: [],
    };
  const [socket, pidFile] = [join(root, 'gantry.sock'), join(root, 'gantry.pid')];
  const roots = ['--data-root', join(root, 'data'), '--exec-root', join(root, 'exec')];
  const args = [...roots, '--pidfile', pidFile, '-H', `unix://${socket}`];
  return { socket, pidFile, logFile: join(root, 'gantryd.log'), args };
}

const GREETING_MEMORY_BYTES = 64 << 20;

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function checkMachine(): void {
  if (process.getuid?.() !== 0) throw new Error('gantry needs root: run npm start as root');
  const problem = kernelProblem(release());
  if (problem !== null) throw new Error(problem);
}

function daemonPid({ pidFile }: Places): string {
  try {
    return readFileSync(pidFile, 'utf8').trim();
  } catch {
    return 'unknown';
  }
}

async function ensureDaemon(engine: Engine, places: Places, built: readonly string[]): Promise<void> {
  if (!(await engine.answers())) {
    await startDaemon(engine, places);
    print(`gantryd started: PID ${daemonPid(places)}, socket ${places.socket}, log ${places.logFile}`);
    return;
  }
  const pid = daemonPid(places);
  print(`gantryd is running: PID ${pid}, socket ${places.socket}`);
  if (built.includes('gantryd.cjs'))
    print(`  it is an earlier build: kill ${pid} && npm start changes to the new one, containers go on`);
}

async function ensureImage(engine: Engine, isNew: boolean): Promise<void> {
  const known = await engine.call(`/images/${EMBEDDED.reference}/json`);
  if (known.status === 200 && !isNew) return;
  const answer = await engine.must('/images/load?quiet=1', { method: 'POST', file: EMBEDDED.archive });
  if (answer.includes('"error"')) throw new Error(`the embedded image does not load: ${answer.toString()}`);
  print(`loaded the embedded image ${EMBEDDED.reference}`);
}

/** Create, start, wait, logs, remove: what `run --rm` does. */
async function greet(engine: Engine): Promise<string> {
  const json = {
    Image: EMBEDDED.reference,
    AttachStdout: true,
    AttachStderr: true,
    HostConfig: { Memory: GREETING_MEMORY_BYTES },
  };
  const created = await engine.must('/containers/create', { method: 'POST', json });
  const { Id } = JSON.parse(created.toString()) as { Id: string };
  try {
    await engine.must(`/containers/${Id}/start`, { method: 'POST' });
    const ended = await engine.must(`/containers/${Id}/wait`, { method: 'POST' });
    const log = unframe(await engine.must(`/containers/${Id}/logs?stdout=1&stderr=1`));
    const { StatusCode } = JSON.parse(ended.toString()) as { StatusCode: number };
    if (StatusCode !== 0) throw new Error(`the greeting ended with ${StatusCode}: ${log}`);
    return log.trimEnd();
  } finally {
    await engine.must(`/containers/${Id}?force=1`, { method: 'DELETE' });
  }
}

function next({ socket, pidFile }: Places): string {
  const own = socket === placesOf(undefined).socket ? '' : ` -H unix://${socket}`;
  return `
Try next:
  bin/gantry${own} run --rm -it ${EMBEDDED.reference} sh
  bin/gantry${own} run -d --name web -p 8080:8080 ${EMBEDDED.reference} httpd -f -p 8080 -h /etc
  curl http://127.0.0.1:8080/passwd; bin/gantry${own} rm -f web
or, with the docker CLI:
  export DOCKER_HOST=unix://${socket}
  docker ps -a
The daemon ends with kill ${'$'}(cat ${pidFile}); containers go on, and the next daemon finds them.`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { root: { type: 'string' } } });
  checkMachine();
  const places = placesOf(values.root === undefined ? undefined : resolve(values.root));
  const built = await buildAll();
  if (built.length > 0) print(`built ${built.sort().join(', ')}`);
  const engine = new Engine(places.socket);
  await ensureDaemon(engine, places, built);
  await ensureImage(engine, built.includes('images'));
  print(`\n${await greet(engine)}`);
  print(next(places));
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
