/** When a container's own program begins: it writes the clock into a bind-mounted folder, first thing. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { must, run } from '../support/command.ts';
import type { BenchEngine } from './engine.ts';

/** The clock of `process.hrtime`: both sides read the same one, and nothing sets it. */
const PROGRAM = `#include <fcntl.h>
#include <time.h>
#include <unistd.h>

int main(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  long long ns = now.tv_sec * 1000000000LL + now.tv_nsec;
  int fd = open("/probe/begin", O_WRONLY | O_CREAT | O_TRUNC, 0644);
  return fd >= 0 && write(fd, &ns, sizeof ns) == sizeof ns ? 0 : 1;
}
`;

/** A folder with the program, static, made by the compiler that makes the shim. */
export async function buildProbe(): Promise<string> {
  const folder = await mkdtemp('/tmp/gantry-probe-');
  await writeFile(join(folder, 'begin.c'), PROGRAM);
  const found = await run('sh', ['-c', 'command -v musl-gcc']);
  const compiler = found.exit === 0 ? 'musl-gcc' : (process.env['CC'] ?? 'cc');
  await must(compiler, ['-Os', '-static', '-s', '-o', join(folder, 'first'), join(folder, 'begin.c')]);
  return folder;
}

export async function removeProbe(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}

/** Milliseconds from when the start request is written to the socket until the program's first statement. */
export async function firstInstruction(engine: BenchEngine, folder: string): Promise<number> {
  const id = await engine.create({ Cmd: ['/probe/first'], HostConfig: { Binds: [`${folder}:/probe`] } });
  try {
    const { askedAt } = await engine.answered('POST', `/containers/${id}/start`);
    await engine.must('POST', `/containers/${id}/wait?condition=not-running`);
    const begun = (await readFile(join(folder, 'begin'))).readBigInt64LE();
    return Number(begun - askedAt) / 1e6;
  } finally {
    await engine.remove(id);
  }
}
