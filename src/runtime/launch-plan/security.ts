import type { SpecProcess } from '#oci/runtime-spec.ts';
import { invalid, type PlanBuilder } from './builder.ts';
import type { LaunchContext } from './context.ts';
import { ATTR, ERRNO, KEY, PERSONALITIES } from './kernel-numbers.ts';
import type { Operation } from './operations.ts';

type Scene = Pick<LaunchContext, 'id' | 'apparmor' | 'selinux' | 'noKeyring'>;

/**
 * A procfs that nobody else sees: what is written there reaches the kernel and nothing else. Who holds it
 * last waits for its end: `before` leaves that to the starter, but wants root of the host.
 */
export function planPrivateProc(builder: PlanBuilder, list: 'before' | 'child'): number {
  const slot = builder.slot('linux');
  const attributes = ATTR.nosuid | ATTR.nodev | ATTR.noexec;
  builder[list].push({ op: 'makeMount', slot, type: 'proc', source: 'proc', options: [], attributes });
  return slot;
}

export function hasLabel({ apparmorProfile = '', selinuxLabel = '' }: SpecProcess): boolean {
  return apparmorProfile !== '' || selinuxLabel !== '';
}

/** Keys of the caller stay out of the container. The kernel may have no keyrings, or no room. */
export function planKeyring(
  { id, noKeyring }: Scene,
  options: { readonly process: SpecProcess; readonly proc: number | null; readonly permissions: number },
): Operation[] {
  if (noKeyring === true) return [];
  const { process, proc, permissions } = options;
  const label = process.selinuxLabel ?? '';
  const labelled: Operation[] =
    label === '' || proc === null
      ? []
      : [
          {
            op: 'writeProcSelf',
            proc,
            name: 'attr/keycreate',
            value: Buffer.from(label),
            from: 'process.selinuxLabel',
          },
        ];
  const ignore = [ERRNO.ENOSYS, ERRNO.EDQUOT];
  return [...labelled, { op: 'keyring', name: `_ses.${id}`, permissions, ignore }];
}

/** Who may look for keys in it: with a user namespace its owner is somebody else. */
export function keyPermissions(userNamespace: boolean): number {
  return userNamespace ? KEY.otherSearch : KEY.userSearch;
}

/** Labels that the next execve puts on. */
export function planLabels(scene: Scene, process: SpecProcess, proc: number | null): Operation[] {
  const { apparmorProfile = '', selinuxLabel = '' } = process;
  const operations: Operation[] = [];
  if (apparmorProfile !== '') {
    const from = 'process.apparmorProfile';
    if (!scene.apparmor) throw invalid(from, 'apparmor: config provided but apparmor not supported');
    const value = Buffer.from(`exec ${apparmorProfile}`);
    // Older kernels have one directory for all modules.
    if (proc !== null) {
      operations.push({ op: 'writeProcSelf', proc, name: 'attr/apparmor/exec', value, from });
    }
  }
  if (selinuxLabel !== '') {
    const from = 'process.selinuxLabel';
    if (!scene.selinux) {
      throw invalid(from, 'selinux label is specified in config, but selinux is disabled or not supported');
    }
    const value = Buffer.from(selinuxLabel);
    if (proc !== null) operations.push({ op: 'writeProcSelf', proc, name: 'attr/exec', value, from });
  }
  return operations;
}

export function planPersonality(personality: { readonly domain: string } | undefined): Operation[] {
  if (personality === undefined) return [];
  const domain = PERSONALITIES[personality.domain];
  if (domain === undefined) {
    throw invalid('linux.personality.domain', `invalid personality domain ${personality.domain}`);
  }
  return [{ op: 'personality', domain, from: 'linux.personality' }];
}
