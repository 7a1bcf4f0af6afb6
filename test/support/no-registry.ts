import type { RegistryClient } from '#registry/client.ts';

/** For services under test that must not ask any registry. */
export function noRegistry(): RegistryClient {
  const refuse = (): never => {
    throw new Error('nobody asks a registry here');
  };
  const slots = { take: refuse };
  return {
    repository: refuse,
    login: refuse,
    search: refuse,
    fetchUrl: refuse,
    downloads: slots,
    uploads: slots,
    close: () => undefined,
  };
}
