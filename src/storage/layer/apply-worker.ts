import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { errorCode, errorMessage, isEngineError } from '#base/errors.ts';
import { createKernel } from '#host/real.ts';
import type { LayerJob, LayerJobFailure, LayerJobMessage, LayerJobReply } from './apply-job.ts';
import { runLayerJob } from './run-job.ts';
import { WindowBudget } from './window-budget.ts';

/*
 * Entry point of the threads that unpack layers: the main thread serves the API, and gunzip, hashing and a
 * file system's calls would stop it for seconds. A thread has several jobs at once: one that waits for bytes
 * holds up nobody.
 */

export interface WorkerData {
  readonly budget: SharedArrayBuffer;
  /** Which of the budget's users this thread is. */
  readonly thread: number;
}

const PROGRESS_MS = 100;

function failureOf(error: unknown): LayerJobFailure {
  const code = errorCode(error);
  const hint = isEngineError(error) ? error.hint : undefined;
  return {
    kind: isEngineError(error) ? error.kind : 'internal',
    message: errorMessage(error),
    ...(hint !== undefined && { hint }),
    ...(code !== undefined && { code }),
  };
}

if (!isMainThread && parentPort !== null) {
  const port = parentPort;
  const { files, threads } = createKernel();
  threads.giveWay();
  const { budget, thread } = workerData as WorkerData;
  const window = new WindowBudget(budget, thread);
  const running = new Map<number, AbortController>();
  const reply = (answer: LayerJobReply): void => port.postMessage(answer);

  const run = (id: number, job: LayerJob): Promise<void> => {
    const controller = new AbortController();
    running.set(id, controller);
    let told = 0;
    const onRead = (readBytes: number): void => {
      const now = performance.now();
      if (now - told < PROGRESS_MS) return;
      told = now;
      reply({ id, readBytes });
    };
    return runLayerJob({ files, budget: window, signal: controller.signal, onRead }, job)
      .then(
        (result) => reply({ id, result }),
        (error: unknown) => reply({ id, failure: failureOf(error) }),
      )
      .finally(() => running.delete(id));
  };

  port.on('message', (message: LayerJobMessage) => {
    if ('cancel' in message) running.get(message.id)?.abort();
    else void run(message.id, message.job);
  });
}
