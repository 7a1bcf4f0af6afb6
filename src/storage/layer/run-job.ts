import { createHash } from 'node:crypto';
import { EngineError } from '#base/errors.ts';
import type { Files } from '#host/kernel.ts';
import { LayerWriter } from './apply-layer.ts';
import type { LayerJob, LayerJobResult } from './apply-job.ts';
import { copyTree } from './copy-tree.ts';
import { decompressFile } from './decompress.ts';
import { namingEntries } from './entry-errors.ts';
import { TarParser } from './tar-parser.ts';
import { treeUsage } from './tree-usage.ts';

type ApplyJob = Extract<LayerJob, { kind: 'apply' }>;

/** Does one job on the calling thread. Errors: `invalidArgument` for a bad archive, else the kernel's. */
export async function runLayerJob(files: Files, job: LayerJob): Promise<LayerJobResult> {
  const opened: number[] = [];
  const open = (path: string): number => {
    const fd = files.openRoot(path);
    opened.push(fd);
    return fd;
  };
  try {
    if (job.kind === 'copy') return copyTree(files, open(job.source), open(job.target));
    if (job.kind === 'usage') return treeUsage(files, open(job.source));
    const lowerRoots = job.lowers.map(open);
    return await applyArchive(files, job, { root: open(job.target), lowerRoots });
  } finally {
    for (const fd of opened) files.close(fd);
  }
}

async function applyArchive(
  files: Files,
  job: ApplyJob,
  trees: { readonly root: number; readonly lowerRoots: readonly number[] },
): Promise<LayerJobResult> {
  const writer = new LayerWriter({ files, whiteouts: job.whiteouts, ...trees });
  const parser = new TarParser(namingEntries(writer));
  const hash = createHash('sha256');
  try {
    for await (const chunk of decompressFile(job.blobPath)) {
      hash.update(chunk);
      parser.push(chunk);
    }
    parser.finish();
    const actual = `sha256:${hash.digest('hex')}`;
    if (actual !== job.diffId) {
      throw new EngineError(
        'invalidArgument',
        `invalid diffID for layer: expected "${job.diffId}", got "${actual}"`,
      );
    }
    writer.finish();
    return writer.usage;
  } finally {
    writer.close();
  }
}
