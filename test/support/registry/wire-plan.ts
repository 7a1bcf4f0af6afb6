/** What a wire between a daemon and a real registry is told, and tells. Plain data: it is a process. */

export type WireAct =
  /** The connection ends when so many bytes of the body were handed on. */
  | { readonly kind: 'cut'; readonly bytes: number }
  /** The same, and the registry is told to forget the upload. */
  | { readonly kind: 'cut-and-forget'; readonly bytes: number }
  /** Nothing is read any more after so many bytes, until the client leaves. */
  | { readonly kind: 'stall'; readonly bytes: number }
  /** Everything is done, and its answer is lost. */
  | { readonly kind: 'lose-answer' }
  | { readonly kind: 'status'; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  /** Headers that are added to the registry's answer. */
  | { readonly kind: 'headers'; readonly headers: Readonly<Record<string, string>> };

/** Meets requests of a method whose path and query match, after the first `skip`, `times` of them. */
export interface WireFault {
  readonly method: string;
  readonly path: string;
  /** Only those with a body of at least so many bytes. */
  readonly minBytes?: number;
  readonly skip?: number;
  readonly times?: number;
  readonly act: WireAct;
}

export interface WireEntry {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  /** Of the request's Content-Length. */
  readonly bodyBytes: number;
  readonly contentRange: string;
  /** How much of the request's body went to the registry. */
  sentBytes: number;
  /** What the client was answered; 0: nothing yet, or never. */
  status: number;
  fault: string;
}

export interface WireEnds {
  readonly listen: number;
  readonly upstream: number;
  /** Of each body; 0: as fast as it goes. */
  readonly bytesPerSecond: number;
}

export type ToWire =
  | ({ readonly say: 'start' } & WireEnds)
  | { readonly say: 'faults'; readonly faults: readonly WireFault[] }
  | { readonly say: 'ledger'; readonly clear: boolean };
export type FromWire =
  | { readonly say: 'ready' }
  | { readonly say: 'ledger'; readonly entries: readonly WireEntry[] };
