import { make } from '../../tools/build-steps/target.ts';
import { ARCHIVES, imageTargets } from '../../tools/set-up/images.ts';

/**
 * Test images; `busybox` → busybox:latest, `hello` → gantry/hello:latest, `web` → gantry/web:latest (httpd on
 * 8080).
 */
export type ArchiveName = keyof typeof ARCHIVES;

/** The path of an archive that `load` (or, for `rootfs`, `import`) accepts; made first if it is not there. */
export async function imageArchive(name: ArchiveName): Promise<string> {
  for (const target of imageTargets()) await make(target);
  return ARCHIVES[name];
}

export {
  dockerArchive,
  ociLayout,
  type BuiltImage,
  type ImageSource,
} from '../../tools/set-up/image-archive.ts';
export { tarOf, type TarEntry } from '../../tools/set-up/tar.ts';

/** Path and reference of the image that most tests use. */
export async function busyboxArchive(): Promise<{ archive: string; reference: string }> {
  return { archive: await imageArchive('busybox'), reference: 'busybox:latest' };
}
