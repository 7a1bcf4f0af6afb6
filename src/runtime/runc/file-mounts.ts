import type { SpecMount } from '#oci/runtime-spec.ts';
import type { Kernel } from '#host/kernel.ts';

type SlowFiles = Pick<Kernel['files'], 'openRoot' | 'close' | 'slow'>;

const RECURSIVE_READONLY = 'rro';

/**
 * crun before 1.14.4 opens the target of every mount with recursive attributes as a directory. Below a file
 * nothing is mounted, so that `ro` says the same.
 */
export async function plainFileMounts<Mount extends SpecMount>(
  files: SlowFiles,
  mounts: readonly Mount[],
): Promise<Mount[]> {
  const root = files.openRoot('/');
  try {
    return await Promise.all(mounts.map(async (mount) => await plain(files, root, mount)));
  } finally {
    files.close(root);
  }
}

async function plain<Mount extends SpecMount>(files: SlowFiles, root: number, mount: Mount): Promise<Mount> {
  const { source, options = [] } = mount;
  if (source === undefined || !options.includes(RECURSIVE_READONLY)) return mount;
  const type = await files.slow.stat(root, source, { follow: true }).then(
    (stat) => stat.type,
    // The runtime will say what is wrong with it.
    () => 'directory',
  );
  if (type === 'directory') return mount;
  return { ...mount, options: options.map((option) => (option === RECURSIVE_READONLY ? 'ro' : option)) };
}
