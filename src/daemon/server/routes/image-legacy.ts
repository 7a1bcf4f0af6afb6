import type { JsonObject } from '#base/json.ts';
import { isAtLeast } from '#api/version.ts';

/** Fields of a container's configuration that an image's has for old clients only. */
const CONTAINER_ONLY = {
  Hostname: '',
  Domainname: '',
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Image: '',
};

/** The container that an image was committed from, of which this engine keeps nothing. */
const NO_CONTAINER = {
  ...CONTAINER_ONLY,
  User: '',
  Env: null,
  Cmd: null,
  Volumes: null,
  WorkingDir: '',
  Entrypoint: null,
  OnBuild: null,
  Labels: null,
};

interface Listed {
  readonly Size: number;
  readonly Containers: number;
}

/** An image as older clients list it: before 1.51 without its number of containers. */
export function summaryFor<T extends Listed>(image: T, apiVersion: string): T {
  return {
    ...image,
    ...(!isAtLeast(apiVersion, '1.51') && { Containers: -1 }),
    ...(!isAtLeast(apiVersion, '1.44') && { VirtualSize: image.Size }),
  };
}

/** An image's details as a client of that version knows them. */
export function detailsFor<T extends { readonly Size?: number; readonly Config?: object }>(
  image: T,
  apiVersion: string,
): T | JsonObject {
  if (isAtLeast(apiVersion, '1.50')) return image;
  return {
    ...(image as unknown as JsonObject),
    Config: { ...CONTAINER_ONLY, ...image.Config },
    ...(!isAtLeast(apiVersion, '1.45') && { ContainerConfig: NO_CONTAINER }),
    ...(!isAtLeast(apiVersion, '1.44') && { VirtualSize: image.Size ?? 0 }),
  };
}
