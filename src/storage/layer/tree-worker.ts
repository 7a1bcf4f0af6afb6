import { createHash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { isMainThread, parentPort, type MessagePort } from 'node:worker_threads';
import { EngineError, errorCode, errorMessage, isEngineError } from '#base/errors.ts';
import type { Files } from '#host/kernel.ts';
import { createKernel } from '#host/real.ts';
import type { ContainerTrees } from '../snapshotter.ts';
import { compareTrees, WasteCount } from './compare-trees.ts';
import { LayerTar, TreeDiff, type TreeChange, type TreePair } from './diff-tree.ts';
import type { TreeJob, TreeJobFailure, TreeJobMessage, TreeJobReply } from './tree-job.ts';
import { TreeStack, type StackDirectory } from './tree-stack.ts';
import { TarTreeWriter, writeTree, type ByteSink } from './write-tar.ts';

/*
 * Entry point of the threads that read containers' trees: a slow disk or a slow client stops its own thread
 * only.
 */

const CHANGES_AT_ONCE = 2000;
/** Smaller buffers may be parts of node's pool. */
const SHARED_MEMORY = 64 * 1024;

/** Sends chunks as fast as they are taken; throws when nobody takes them any more. */
function sinkTo(port: MessagePort, flow: Int32Array<SharedArrayBuffer>): ByteSink {
  return (bytes) => {
    while (Atomics.load(flow, 1) === 0 && Atomics.load(flow, 0) <= 0) Atomics.wait(flow, 0, 0);
    if (Atomics.load(flow, 1) !== 0) throw new EngineError('unavailable', 'nobody reads the tree any more');
    Atomics.sub(flow, 0, 1);
    // A large one has its memory for itself, and nobody here uses it again.
    const chunk = bytes.length < SHARED_MEMORY ? new Uint8Array(bytes) : bytes;
    port.postMessage({ chunk } satisfies TreeJobReply, [chunk.buffer as ArrayBuffer]);
  };
}

function withPair<T>(files: Files, trees: ContainerTrees, work: (pair: TreePair) => T): T {
  const stack = new TreeStack(files);
  const upper = stack.openRoots([trees.upper]);
  try {
    const lowers = stack.openRoots(trees.lowers);
    try {
      return work({ stack, upper: upper[0] ?? -1, lowers, kind: trees.kind });
    } finally {
      stack.close(lowers);
    }
  } finally {
    stack.close(upper);
  }
}

const pathText = (path: string): string => `/${Buffer.from(path, 'latin1').toString()}`;

/** As JSON text, some at once. */
function writeChanges(
  changes: readonly (TreeChange & { readonly sizeBytes?: number })[],
  sink: ByteSink,
): void {
  const encode = (from: number): string =>
    changes
      .slice(from, from + CHANGES_AT_ONCE)
      .map(({ path, kind, sizeBytes: Size }) =>
        JSON.stringify({ Path: pathText(path), Kind: kind, ...(Size !== undefined && { Size }) }),
      )
      .join(',');
  for (let at = 0; at < changes.length; at += CHANGES_AT_ONCE)
    sink(Buffer.from(`${at === 0 ? '[' : ','}${encode(at)}`));
  sink(Buffer.from(changes.length === 0 ? 'null\n' : ']\n'));
}

/** With the trees of each list open, in one stack. */
function withStacks<T>(
  files: Files,
  lists: readonly (readonly string[])[],
  work: (stack: TreeStack, roots: readonly StackDirectory[]) => T,
): T {
  const stack = new TreeStack(files);
  const roots: StackDirectory[] = [];
  try {
    for (const paths of lists) roots.push(stack.openRoots(paths));
    return work(stack, roots);
  } finally {
    for (const root of roots) stack.close(root);
  }
}

function writeWaste(files: Files, layers: readonly string[], sink: ByteSink): void {
  const counted = withStacks(files, [layers], (stack, [root = []]) =>
    new WasteCount(files, { stack, layers: layers.length }).count(root),
  );
  const encoded = counted.map(({ wastedFiles, ...tally }) => ({
    ...tally,
    wastedFiles: wastedFiles.map(({ path, sizeBytes }) => ({ path: pathText(path), sizeBytes })),
  }));
  sink(Buffer.from(JSON.stringify(encoded)));
}

function writeArchive(files: Files, trees: ContainerTrees, sink: ByteSink): void {
  const stack = new TreeStack(files);
  const root = stack.openRoots(trees.kind === 'overlay' ? [trees.upper, ...trees.lowers] : [trees.upper]);
  try {
    writeTree({ stack, root }, new TarTreeWriter(files, sink));
  } finally {
    stack.close(root);
  }
}

function writeLayer(
  files: Files,
  job: Extract<TreeJob, { kind: 'layer' }>,
  flow: Int32Array,
): { digest: string; sizeBytes: number } {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  const parent = files.openRoot(job.path.slice(0, job.path.lastIndexOf('/')));
  let fd: number | null = null;
  try {
    const name = job.path.slice(job.path.lastIndexOf('/') + 1);
    fd = files.open(parent, name, { access: 'write', create: true, exclusive: true, mode: 0o600 });
    const file = fd;
    const sink: ByteSink = (bytes) => {
      if (Atomics.load(flow, 1) !== 0) throw new EngineError('unavailable', 'the engine is shutting down');
      hash.update(bytes);
      sizeBytes += bytes.length;
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
    };
    withPair(files, job.trees, (pair) => {
      new LayerTar(files, {
        pair,
        excluded: job.excluded,
        writer: new TarTreeWriter(files, sink),
      }).write();
    });
    return { digest: `sha256:${hash.digest('hex')}`, sizeBytes };
  } finally {
    if (fd !== null) files.close(fd);
    files.close(parent);
  }
}

function run(files: Files, port: MessagePort, { job, flow }: TreeJobMessage): TreeJobReply {
  const counters = new Int32Array(flow);
  if (job.kind === 'layer') return { done: writeLayer(files, job, counters) };
  const sink = sinkTo(port, counters);
  switch (job.kind) {
    case 'archive':
      writeArchive(files, job.trees, sink);
      break;
    case 'changes':
      writeChanges(
        withPair(files, job.trees, (pair) => new TreeDiff(files, pair).changes()),
        sink,
      );
      break;
    case 'compare':
      writeChanges(
        withStacks(files, [job.before, job.after], (stack, [before = [], after = []]) =>
          compareTrees({ files, stack }, before, after),
        ),
        sink,
      );
      break;
    case 'waste':
      writeWaste(files, job.layers, sink);
      break;
  }
  return { done: null };
}

function failureOf(error: unknown): TreeJobFailure {
  const code = errorCode(error);
  return {
    kind: isEngineError(error) ? error.kind : 'internal',
    message: errorMessage(error),
    ...(code !== undefined && { code }),
  };
}

if (!isMainThread && parentPort !== null) {
  const port = parentPort;
  const { files, threads } = createKernel();
  threads.giveWay();
  port.on('message', (message: TreeJobMessage) => {
    let reply: TreeJobReply;
    try {
      reply = run(files, port, message);
    } catch (error) {
      reply = { failure: failureOf(error) };
    }
    port.postMessage(reply);
  });
}
