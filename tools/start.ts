/**
 * `npm start`: builds, starts the daemon if none answers, and greets from inside a container. Safe to run
 * again.
 */
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { buildAll } from './build.ts';
import { Engine, startDaemon, unframe } from './set-up/engine.ts';
import { EMBEDDED } from './set-up/images.ts';

const SOCKET = '/run/gantry.sock';
const PID_FILE = '/run/gantry.pid';
const LOG = { logFolder: '/var/log/gantry', logFile: '/var/log/gantry/gantryd.log' } as const;
const OLDEST_KERNEL = [5, 15] as const;
const GREETING_MEMORY_BYTES = 64 << 20;

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function checkMachine(): void {
  if (process.getuid?.() !== 0) throw new Error('gantry needs root: run npm start as root');
  const [major = 0, minor = 0] = release()
    .split('.')
    .map((part) => Number.parseInt(part, 10));
  const isOld = major < OLDEST_KERNEL[0] || (major === OLDEST_KERNEL[0] && minor < OLDEST_KERNEL[1]);
  if (isOld) throw new Error(`gantry needs Linux ${OLDEST_KERNEL.join('.')} or newer, this is ${release()}`);
}

function daemonPid(): string {
  try {
    return readFileSync(PID_FILE, 'utf8').trim();
  } catch {
    return 'unknown';
  }
}

async function ensureDaemon(engine: Engine, built: readonly string[]): Promise<void> {
  if (!(await engine.answers())) {
    await startDaemon(engine, LOG);
    print(`gantryd started: PID ${daemonPid()}, socket ${SOCKET}, log ${LOG.logFile}`);
    return;
  }
  print(`gantryd is running: PID ${daemonPid()}, socket ${SOCKET}`);
  if (built.includes('gantryd.cjs'))
    print(
      `  it is an earlier build: kill ${daemonPid()} && npm start changes to the new one, containers go on`,
    );
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

const NEXT = `
Try next:
  bin/gantry run --rm -it ${EMBEDDED.reference} sh
  bin/gantry run -d --name web -p 8080:8080 ${EMBEDDED.reference} httpd -f -p 8080 -h /etc
  curl http://127.0.0.1:8080/passwd; bin/gantry rm -f web
or, with the docker CLI:
  export DOCKER_HOST=unix://${SOCKET}
  docker ps -a
The daemon ends with: kill ${'$'}(cat ${PID_FILE}) (containers go on and are found again)`;

try {
  checkMachine();
  const built = await buildAll();
  if (built.length > 0) print(`built ${built.sort().join(', ')}`);
  const engine = new Engine(SOCKET);
  await ensureDaemon(engine, built);
  await ensureImage(engine, built.includes('images'));
  print(`\n${await greet(engine)}`);
  print(NEXT);
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
