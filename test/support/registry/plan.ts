/**
 * What a stand-in registry is told: plain data, since it runs in a process of its own, inside of the network
 * namespace of the daemon under test.
 */

/** Which requests a fault meets. Without `times` it meets all of them, after the first `skip`. */
export interface Fault {
  readonly method?: string;
  /** Regular expression over path and query. */
  readonly path?: string;
  readonly host?: string;
  readonly skip?: number;
  readonly times?: number;
  readonly act: FaultAct;
}

export type FaultAct =
  | { readonly kind: 'stall-before-headers' }
  | { readonly kind: 'stall-after' | 'reset-after'; readonly bytes: number }
  /** The body ends early although Content-Length says more. */
  | { readonly kind: 'short'; readonly bytes: number }
  /** Content-Length agrees with a body that lacks its last bytes. */
  | { readonly kind: 'shorter'; readonly bytes: number }
  | { readonly kind: 'long'; readonly bytes: number }
  | { readonly kind: 'corrupt'; readonly at: number }
  | { readonly kind: 'slow'; readonly bytesPerSecond: number }
  /** The right answer, so much later. */
  | { readonly kind: 'late'; readonly ms: number }
  | { readonly kind: 'status'; readonly status: number; readonly headers?: Headers; readonly body?: string }
  | { readonly kind: 'redirect'; readonly to: string; readonly status?: number }
  /** A body instead of the right one, with a Content-Length of its own. */
  | { readonly kind: 'body'; readonly base64: string; readonly headers?: Headers }
  | { readonly kind: 'headers'; readonly headers: Headers }
  | { readonly kind: 'endless'; readonly headers?: Headers }
  | { readonly kind: 'no-range' }
  | { readonly kind: 'reset' }
  | { readonly kind: 'close' };

export type Headers = Readonly<Record<string, string>>;

/** Who may do what in a repository. */
export interface User {
  readonly name: string;
  readonly password: string;
  /** Of the repository's path; may be a pattern that ends with `*`. */
  readonly pull: readonly string[];
  readonly push: readonly string[];
}

export type Access =
  | { readonly kind: 'none' }
  | { readonly kind: 'basic'; readonly realm: string; readonly users: readonly User[] }
  | {
      readonly kind: 'token';
      /** The whole address of the token server. */
      readonly realm: string;
      readonly service: string;
      readonly users: readonly User[];
      /** Repositories that need no user. */
      readonly anonymous: readonly string[];
      /** An identity token is given to those who ask for one, and taken instead of a password. */
      readonly identityToken?: string;
      /** The answer's member: `token`, or `access_token` as OAuth 2 has it. */
      readonly member: 'token' | 'access_token';
    };

export interface RegistryRole {
  readonly role: 'registry';
  readonly access: Access;
  /** Blobs are answered with a redirect to this origin, whose addresses refuse an Authorization header. */
  readonly blobsAt?: string;
  readonly location: 'relative' | 'absolute';
  readonly link: 'relative' | 'absolute';
  /** A mirror: knows its upstream by `?ns=`, and refuses credentials. */
  readonly mirrorOf?: string;
}

/** One that asks nobody for anything. */
export const OPEN_REGISTRY: RegistryRole = {
  role: 'registry',
  access: { kind: 'none' },
  location: 'relative',
  link: 'relative',
};

export interface TokenRole {
  readonly role: 'token';
  /** The host whose access this server grants. */
  readonly of: string;
}

export interface BlobsRole {
  readonly role: 'blobs';
}

export type Role = RegistryRole | TokenRole | BlobsRole;

export interface Listener {
  readonly address: string;
  readonly port: number;
  readonly tls: { readonly certificate: string; readonly key: string; readonly clientCa?: string } | null;
}

export interface StandinPlan {
  readonly listeners: readonly Listener[];
  /** By Host header; a host may have a registry and a token server (`/v2/` tells them apart). */
  readonly hosts: Readonly<Record<string, readonly Role[]>>;
  /** Folder with `blobs/` and `repositories.json`, see content.ts. */
  readonly folder: string;
  readonly faults: readonly Fault[];
}

/** One request as the stand-in saw it. */
export interface LedgerEntry {
  readonly number: number;
  readonly atMs: number;
  readonly host: string;
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly authorization: string;
  /** Meant for a proxy: nothing that a registry is to see. */
  readonly proxyAuthorization: string;
  readonly range: string;
  readonly userAgent: string;
  /** Of requests with a form, such as those of OAuth 2. */
  readonly form: string;
  status: number;
  /** Where the body that was sent begins in the whole, and how much of it went out. */
  offset: number;
  sentBytes: number;
  /** When the last that was sent went out, or began to; 0 when nothing was. */
  sentMs: number;
  fault: string;
}

export interface RepositoryRecord {
  readonly tags: Record<string, string>;
  /** Media types by digest. */
  readonly manifests: Record<string, string>;
  readonly blobs: string[];
}

/** Repositories by path. */
export type RepositoriesFile = Record<string, RepositoryRecord>;

/** What the test's process says to the stand-in's, and the answers. */
export type ToStandin =
  | { readonly say: 'start'; readonly plan: StandinPlan }
  | { readonly say: 'faults'; readonly faults: readonly Fault[] }
  /** The folder's documents were changed. */
  | { readonly say: 'reload' }
  | { readonly say: 'ledger'; readonly clear: boolean };
export type FromStandin =
  | { readonly say: 'ready' }
  | { readonly say: 'failed'; readonly message: string }
  | {
      readonly say: 'ledger';
      readonly entries: readonly LedgerEntry[];
      readonly tokens: readonly IssuedToken[];
    };

/** A Bearer token that a realm gave out, and for which registry. */
export interface IssuedToken {
  readonly token: string;
  readonly registry: string;
  readonly scopes: readonly string[];
}
