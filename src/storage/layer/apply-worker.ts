import { isMainThread, parentPort } from 'node:worker_threads';
import { errorCode, errorMessage, isEngineError } from '#base/errors.ts';
import { createKernel } from '#host/real.ts';
import type { LayerJobFailure, LayerJobMessage, LayerJobReply } from './apply-job.ts';
import { runLayerJob } from './run-job.ts';

/*
 * Entry point of the threads that unpack layers: the main thread serves the API, and gunzip, hashing and a
 * file system's calls would stop it for seconds.
 */

function failureOf(error: unknown): LayerJobFailure {
  const code = errorCode(error);
  return {
    kind: isEngineError(error) ? error.kind : 'internal',
    message: errorMessage(error),
    ...(code === undefined ? {} : { code }),
  };
}

if (!isMainThread && parentPort !== null) {
  const port = parentPort;
  const { files } = createKernel();
  port.on('message', ({ id, job }: LayerJobMessage) => {
    const reply = (answer: LayerJobReply): void => port.postMessage(answer);
    runLayerJob(files, job).then(
      (result) => reply({ id, result }),
      (error: unknown) => reply({ id, failure: failureOf(error) }),
    );
  });
}
