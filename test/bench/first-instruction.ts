/** When a container's own program begins: it says what the clock shows, first thing. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { must, run } from '../support/command.ts';
import type { BenchEngine } from './engine.ts';

const IMAGE = 'bench-first';

/** The clock of `process.hrtime`: both sides read the same one, and nothing sets it. */
const PROGRAM = `#include <stdio.h>
#include <time.h>

int main(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  printf("%lld\\n", now.tv_sec * 1000000000LL + now.tv_nsec);
}
`;

/** An archive with the program alone, static, made by the compiler that makes the shim. */
async function programArchive(): Promise<Buffer> {
  const folder = await mkdtemp('/tmp/gantry-first-');
  try {
    await writeFile(join(folder, 'first.c'), PROGRAM);
    const found = await run('sh', ['-c', 'command -v musl-gcc']);
    const compiler = found.exit === 0 ? 'musl-gcc' : (process.env['CC'] ?? 'cc');
    await must(compiler, ['-Os', '-static', '-s', '-o', join(folder, 'first'), join(folder, 'first.c')]);
    await must('tar', ['-C', folder, '-cf', join(folder, 'first.tar'), 'first']);
    return await readFile(join(folder, 'first.tar'));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export async function loadFirst(engine: BenchEngine): Promise<void> {
  await engine.must('POST', `/images/create?fromSrc=-&repo=${IMAGE}&tag=latest`, await programArchive());
}

export async function removeFirst(engine: BenchEngine): Promise<void> {
  await engine.must('DELETE', `/images/${IMAGE}`);
}

/** Milliseconds from when the start request is written to the socket until the program's first statement. */
export async function firstInstruction(engine: BenchEngine): Promise<number> {
  const id = await engine.create({ Image: IMAGE, Cmd: ['/first'] });
  try {
    const { askedAt } = await engine.answered('POST', `/containers/${id}/start`);
    await engine.must('POST', `/containers/${id}/wait?condition=not-running`);
    const said = await engine.must('GET', `/containers/${id}/logs?stdout=1`);
    const [begun = ''] = /\d+(?=\n)/.exec(said) ?? [];
    return Number(BigInt(begun) - askedAt) / 1e6;
  } finally {
    await engine.remove(id);
  }
}
