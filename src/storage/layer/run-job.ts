import type { LayerJob, ResultOf } from './apply-job.ts';
import { compressFile } from './compress-job.ts';
import { copyTree } from './copy-tree.ts';
import { decompressFile } from './decompress-job.ts';
import { StoredBytes } from './growing-source.ts';
import { settleTree } from './settle.ts';
import { treeUsage } from './tree-usage.ts';
import { unpackArchive, type JobContext } from './unpack-archive.ts';

/** Does one job on the calling thread. Errors: `invalidArgument` for a bad archive, else the kernel's. */
export async function runLayerJob(context: JobContext, job: LayerJob): Promise<ResultOf<LayerJob>> {
  const { files } = context;
  const opened: number[] = [];
  const open = (path: string): number => {
    const fd = files.openRoot(path);
    opened.push(fd);
    return fd;
  };
  try {
    if (job.kind === 'unpack') return await unpackArchive(context, job);
    if (job.kind === 'compress') return await compressFile(context, job);
    if (job.kind === 'decompress') return await decompressFile(context, job);
    if (job.kind === 'digest') return await fileDigest(context, job.path);
    if (job.kind === 'copy') return copyTree(files, open(job.source), open(job.target));
    if (job.kind === 'usage') return treeUsage(files, open(job.source));
    const lowers = job.lowers.map(open);
    settleTree(files, { ...job, target: open(job.target), lowers });
    return null;
  } finally {
    for (const fd of opened) files.close(fd);
  }
}

async function fileDigest(context: JobContext, path: string): Promise<string> {
  const bytes = new StoredBytes({ ...context, path, progress: null, hashed: true });
  try {
    await bytes.drain();
    return bytes.digest() ?? '';
  } finally {
    await bytes.close();
  }
}
