import type { ImageDifference as Whole } from '#api/gantry-images.ts';

/** A difference whose list of files comes as it is found. */
export interface ImageDifference extends Omit<Whole, 'Files'> {
  /** JSON text: of `Files`. */
  readonly files: AsyncGenerator<Buffer>;
}
