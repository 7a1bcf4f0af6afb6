import { OCI_RUNTIME_VERSION } from '#oci/runtime-spec.ts';

export const VERSION = '0.1.0';

export function versionText(): string {
  return `gantry-oci version ${VERSION}\nspec: ${OCI_RUNTIME_VERSION}\n`;
}
