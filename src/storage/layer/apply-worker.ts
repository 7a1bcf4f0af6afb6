import { isMainThread, parentPort } from 'node:worker_threads';
import { errorCode, errorMessage, isEngineError } from '#base/errors.ts';
import { createKernel } from '#host/real.ts';
import type { LayerJob, LayerJobFailure, LayerJobMessage, LayerJobReply } from './apply-job.ts';
import { JobWindow } from './job-window.ts';
import { runLayerJob } from './run-job.ts';

/*
 * Entry point of the threads that unpack layers: the main thread serves the API, and gunzip, hashing and a
 * file system's calls would stop it for seconds. A thread has several jobs at once: one that waits for bytes
 * holds up nobody.
 */

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
  const { files, threads, memory } = createKernel();
  threads.giveWay();
  const running = new Map<number, { readonly controller: AbortController; readonly window: JobWindow }>();
  const reply = (answer: LayerJobReply): void => port.postMessage(answer);

  const run = (id: number, job: LayerJob): Promise<void> => {
    const controller = new AbortController();
    const { signal } = controller;
    const window = new JobWindow({ ask: (bytes) => reply({ id, window: bytes }), signal, memory });
    running.set(id, { controller, window });
    let told = 0;
    const onRead = (readBytes: number): void => {
      const now = performance.now();
      if (now - told < PROGRESS_MS) return;
      told = now;
      reply({ id, readBytes });
    };
    return runLayerJob({ files, budget: window, signal, onRead }, job)
      .then(
        (result) => reply({ id, result }),
        (error: unknown) => reply({ id, failure: failureOf(error) }),
      )
      .finally(() => running.delete(id));
  };

  port.on('message', (message: LayerJobMessage) => {
    if ('cancel' in message) running.get(message.id)?.controller.abort();
    else if ('window' in message) running.get(message.id)?.window.given();
    else void run(message.id, message.job);
  });
}
